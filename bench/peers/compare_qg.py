"""Two-layer quasi-geostrophic flow: our step against pyqg's, on one core, in one run; prints ratios.

usage: bench/peers/run qg2layer [--rounds R] [--sizes 64 128 256] [--core C]
                                [--require RATIO] [--require-floor RATIO]

As compare.py: both sides are pinned to one core and take turns; the figure is the minimum of the CPU time per step
over the rounds; the floor is the fastest FFTW form of the transforms that a step needs, five complex or ten real.
With --require or --require-floor the program exits with 1, and says for what, where our step is slower.
"""

import argparse
import os
import pathlib
import subprocess
import sys

from compare import add_requirements, missed, ours

STEPS = {64: 800, 128: 200, 256: 50}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(STEPS))
    parser.add_argument("--core", type=int, default=0)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--program", default=str(root / "build/bench/bin/bench_solvers"))
    add_requirements(parser, "pyqg")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})

    worker = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).with_name("pyqg_step.py"))],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def peer(n):
        worker.stdin.write(f"{n} {STEPS[n]}\n")
        worker.stdin.flush()
        return 1e6 * float(worker.stdout.readline())

    print("microseconds per step, one core, minimum over rounds\n"
          f"{'precision':10}{'N':>5} {'ours':>9} {'pyqg':>9} {'packed':>9} {'real':>9} {'pyqg/ours':>10} {'ours/packed':>12}",
          flush=True)
    rows = {}
    for n in arguments.sizes:
        best, theirs = {}, float("inf")
        for _ in range(arguments.rounds):
            theirs = min(theirs, peer(n))
            for name, time in ours(arguments.program, f"^qg2layer/(step|transforms)/.*/{n}$").items():
                best[name] = min(best.get(name, float("inf")), time)
        for precision in ("float64", "float32"):
            step = best[f"qg2layer/step/{precision}/{n}"]
            packed, real = (best[f"qg2layer/transforms/{precision}/{form}/{n}"] for form in ("packed", "real"))
            print(f"{precision:10}{n:5d} {step:9.1f} {theirs:9.1f} {packed:9.1f} {real:9.1f} {theirs / step:10.2f} "
                  f"{step / packed:12.2f}", flush=True)
            rows[f"{precision}, {n}"] = (theirs, step, min(packed, real))
    worker.stdin.close()
    worker.wait()
    lines = missed(arguments, "pyqg", rows)
    if lines:
        sys.exit("compare_qg: " + "\ncompare_qg: ".join(lines))


if __name__ == "__main__":
    main()
