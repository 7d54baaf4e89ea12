"""Kolmogorov flow: our step against jax-cfd's, on one core, in one run; prints ratios.

usage: bench/peers/run [--rounds R] [--sizes 64 128 256 512] [--program build/bench/bin/bench_solvers]

Both sides are pinned to one core and take turns; the figure is the minimum of the CPU time per step over the
rounds. The transform floor is the fastest FFTW form of the transforms that our step needs (bench/fft_floor.hpp).
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

STEPS = {64: 400, 128: 100, 256: 25, 512: 6}


def ours(program, pattern):
    """Minimum microseconds per step of every benchmark that matches, from one execution of the program."""
    out = subprocess.run(
        [program, f"--benchmark_filter={pattern}", "--benchmark_format=json", "--benchmark_min_time=0.15"],
        check=True, capture_output=True, text=True).stdout
    times = {}
    for row in json.loads(out)["benchmarks"]:
        steps = row.get("steps", 1.0)
        times[row["name"]] = row["cpu_time"] / steps
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--core", type=int, default=0)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--program", default=str(root / "build/bench/bin/bench_solvers"))
    parser.add_argument("--json", help="also write the figures to this file")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})

    header = f"{'':18}{'N':>5} {'ours':>9} {'jax-cfd':>9} {'floor':>9} {'jax-cfd/ours':>13} {'ours/floor':>11}"
    print("microseconds per step, one core, minimum over rounds\n" + header, flush=True)
    results = []
    for precision in ("float32", "float64"):
        worker = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("jaxcfd_step.py")), precision],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def peer(n):
            worker.stdin.write(f"{n} {STEPS[n]}\n")
            worker.stdin.flush()
            return 1e6 * float(worker.stdout.readline())

        for n in arguments.sizes:
            peer(n)  # compiles
            best, theirs = {}, float("inf")
            for _ in range(arguments.rounds):
                theirs = min(theirs, peer(n))
                for name, time in ours(arguments.program, f"^(step|transforms)/{precision}/.*/{n}$").items():
                    best[name] = min(best.get(name, float("inf")), time)
            floor = min(t for name, t in best.items() if name.startswith("transforms/"))
            for form in ("basdevant", "advective"):
                step = best[f"step/{precision}/{form}/{n}"]
                results.append({"precision": precision, "form": form, "points": n, "ours_us": step,
                                "jaxcfd_us": theirs, "transform_floor_us": floor})
                print(f"{precision + ' ' + form:18}{n:5d} {step:9.1f} {theirs:9.1f} {floor:9.1f} "
                      f"{theirs / step:13.2f} {step / floor:11.2f}", flush=True)
        worker.stdin.close()
        worker.wait()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
