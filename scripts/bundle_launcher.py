#!/usr/bin/env python3
"""Starts the program of this name in ../libexec with the shared libraries of this Python's PyTorch wheel.

A bundle (scripts/bundle) holds neither LibTorch nor CUDA libraries: both come with the wheel that it names in
BUNDLE.json. SNS_TORCH names the package's folder where it is not this Python's.
"""

import glob
import importlib.util
import os
import sys


def torch_folder():
    given = os.environ.get("SNS_TORCH")
    if given:
        return given
    found = importlib.util.find_spec("torch")
    return found.submodule_search_locations[0] if found else None


def library_folders(torch):
    """Of LibTorch and of the NVIDIA wheels beside it, or wherever else this Python looks for packages."""
    folders = [os.path.join(torch, "lib")]
    for packages in dict.fromkeys([os.path.dirname(os.path.abspath(torch)), *sys.path]):
        folders += sorted(glob.glob(os.path.join(glob.escape(packages), "nvidia", "*", "lib")))
    return folders


def main():
    launcher = os.path.realpath(sys.argv[0])
    name, root = os.path.basename(launcher), os.path.dirname(os.path.dirname(launcher))
    program = os.path.join(root, "libexec", name)
    torch = torch_folder()
    if torch is None or not os.path.exists(os.path.join(torch, "lib", "libtorch_cpu.so")):
        sys.exit(f"{name}: there is no LibTorch in {torch or 'the packages of ' + sys.executable}; install the wheel that "
                 "BUNDLE.json names, or set SNS_TORCH to the folder of its torch package")
    folders = library_folders(torch)
    if os.environ.get("LD_LIBRARY_PATH"):
        folders.append(os.environ["LD_LIBRARY_PATH"])
    os.environ["LD_LIBRARY_PATH"] = ":".join(folders)
    os.environ.setdefault("SNS_PYTHON", sys.executable)  # draws the figures
    os.environ.setdefault("SNS_SOURCE", root)  # where tests find recorded numbers
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
