"""Times jax-cfd's Kolmogorov step in a process of its own; driven by compare.py.

usage: jaxcfd_step.py float32|float64
Reads lines "N STEPS" on standard input and answers each with the CPU seconds per step of a jitted scan over
STEPS steps, compiled beforehand.
"""

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax  # noqa: E402

precision = sys.argv[1]
jax.config.update("jax_enable_x64", precision == "float64")

import jax.numpy as jnp  # noqa: E402
import jax_cfd.base as cfd  # noqa: E402
from jax_cfd.spectral import equations, time_stepping  # noqa: E402

programs = {}


def program(n, steps):
    """Compiled function and a developed-enough state for an n x n grid."""
    if (n, steps) not in programs:
        grid = cfd.grids.Grid((n, n), domain=((0, 2 * jnp.pi), (0, 2 * jnp.pi)))
        flow = equations.ForcedNavierStokes2D(1e-4, grid, smooth=True)
        step = time_stepping.crank_nicolson_rk4(flow, 1e-3)
        v0 = cfd.initial_conditions.filtered_velocity_field(jax.random.PRNGKey(1), grid, 7.0, 4)
        w0 = jnp.fft.rfftn(cfd.finite_differences.curl_2d(v0).data)
        run = jax.jit(lambda w: jax.lax.scan(lambda s, _: (step(s), None), w, None, length=steps)[0])
        programs[n, steps] = (run, jax.block_until_ready(run(w0)))
    return programs[n, steps]


for line in sys.stdin:
    n, steps = map(int, line.split())
    run, state = program(n, steps)
    start = time.process_time()
    jax.block_until_ready(run(state))
    print((time.process_time() - start) / steps, flush=True)
