"""Kolmogorov flow: our step against jax-cfd's, on one core, in one run; prints ratios.

usage: bench/peers/run [--rounds R] [--sizes 64 128 256 512] [--program build/bench/bin/bench_solvers]
                       [--require RATIO] [--require-floor RATIO]

Both sides are pinned to one core and take turns; the figure is the minimum of the CPU time per step over the
rounds. The transform floor is the fastest FFTW form of the transforms that our step needs (bench/fft_floor.hpp).
With --require or --require-floor the program exits with 1, and says for what, where the Basdevant form is slower.
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


def add_requirements(parser, peer):
    """The options whose fulfilment `missed` looks at."""
    parser.add_argument("--require", type=float, metavar="RATIO",
                        help=f"least that {peer}'s time may be, as a multiple of ours, at every size and precision")
    parser.add_argument("--require-floor", type=float, metavar="RATIO",
                        help="most that our time may be, as a multiple of the transforms' alone, at every size and precision")


def missed(arguments, peer, rows):
    """A line for every row {name: (peer's time, ours, the transforms')} that is worse than demanded, or has no figure."""
    lines = []
    for name, (theirs, step, floor) in rows.items():
        if arguments.require is not None and not theirs / step >= arguments.require:
            lines.append(f"{name}: {peer} / ours is {theirs / step:.3f}, below {arguments.require:g}")
        if arguments.require_floor is not None and not step / floor <= arguments.require_floor:
            lines.append(f"{name}: ours / floor is {step / floor:.3f}, above {arguments.require_floor:g}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--core", type=int, default=0)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--program", default=str(root / "build/bench/bin/bench_solvers"))
    parser.add_argument("--json", help="also write the figures to this file")
    add_requirements(parser, "jax-cfd")
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
    lines = missed(arguments, "jax-cfd", {
        f"{row['precision']}, {row['points']}": (row["jaxcfd_us"], row["ours_us"], row["transform_floor_us"])
        for row in results if row["form"] == "basdevant"})
    if lines:
        sys.exit("compare: " + "\ncompare: ".join(lines))


if __name__ == "__main__":
    main()
