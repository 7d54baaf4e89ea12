"""Times pyqg's two-layer step (jet case, AB3, float64) in a process of its own; driven by compare_qg.py.

Reads lines "N STEPS" on standard input and answers each with the CPU seconds per step over STEPS steps.
"""

import logging
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pyqg  # noqa: E402

logging.disable(logging.CRITICAL)
models = {}


def model(n):
    """A model past its start-up, with pyqg's own random initial state."""
    if n not in models:
        np.random.seed(1)
        models[n] = pyqg.QGModel(nx=n, L=1e6, dt=3600.0, beta=1e-11, rek=7e-8, delta=0.1, rd=15000.0, H1=500.0,
                                 U1=0.025, U2=0.0, tmax=1e12, tavestart=1e12, twrite=10**9, ntd=1, log_level=0)
        for _ in range(20):
            models[n]._step_forward()
    return models[n]


for line in sys.stdin:
    n, steps = map(int, line.split())
    m = model(n)
    start = time.process_time()
    for _ in range(steps):
        m._step_forward()
    print((time.process_time() - start) / steps, flush=True)
