"""Loads the CUDA libraries of the NVIDIA wheels that Python's torch wants and does not look for itself.

scripts/setup_wheel_checks puts this into .venv-well, where it runs at the start of Python.
"""

import ctypes
import glob
import os
import sys

for _folder in sys.path:
    for _name in ("libcufile.so*", "libcusparseLt.so*", "libnvshmem_host.so*"):
        for _library in sorted(glob.glob(os.path.join(_folder, "nvidia", "**", _name), recursive=True)):
            try:
                ctypes.CDLL(_library)
            except OSError:  # torch itself says what it misses
                pass
