#!/usr/bin/env python3
"""Whether libsns_torch_cuda.so finds all that it needs in LibTorch's CUDA half: test_torch_cuda_module.py <module>.

That half loads without a device, where its NVIDIA libraries are (scripts/setup_wheel_checks); elsewhere exit code 77.
"""

import ctypes
import os
import sys

try:
    import torch
except (ImportError, OSError) as why:
    print(f"skipped: {why}")
    sys.exit(77)

module = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)
module.sns_make_graph_recorder.restype = ctypes.c_void_p
assert module.sns_make_graph_recorder()
print(f"loads beside PyTorch {torch.__version__}")
