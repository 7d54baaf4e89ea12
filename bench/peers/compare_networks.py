"""Forward passes of the paper's networks: ours against the same networks in PyTorch, from the same wheel.

usage: bench/peers/run networks [--rounds R] [--threads N] [--widths W ...] [--program PATH]
                               [--require RATIO] [--require-refine RATIO]

Both sides take turns; figures are wall-clock minima over the rounds. Also prints what bfloat16 gains, what evaluating
samples one by one costs, and what a path A refinement of eight trajectories costs beside its network forwards. With
--require or --require-refine the program exits with 1, and says for what, where a figure is worse.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
from sns_networks import Network  # noqa: E402

WIDTHS, BATCHES = (8, 16, 64), (1, 8)


def network(kind, hidden):
    return Network({"kind": kind, "field_channels": 1, "image": 64, "diffusion": {"levels": 1000},
                    "network": {"hidden": hidden, "multipliers": [2, 2, 2], "blocks": 2}}).eval()


def theirs(net, x, seconds=1.0):
    """Milliseconds of the fastest of the calls that fit in about `seconds`, three at least."""
    with torch.inference_mode():
        net(x)
        times = []
        while len(times) < 3 or sum(times) < seconds:
            start = time.perf_counter()
            net(x)
            times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def ours(program, threads, pattern):
    """{name: milliseconds}: minima over repetitions, the first of which only warms up."""
    out = subprocess.run([program, f"--threads={threads}", f"--benchmark_filter={pattern}", "--benchmark_format=json",
                          "--benchmark_min_time=0.3", "--benchmark_repetitions=3"],
                         check=True, capture_output=True, text=True).stdout
    best = {}
    for row in json.loads(out)["benchmarks"]:
        if row.get("run_type") == "iteration" and not row.get("error_occurred"):
            name = row["name"].removesuffix("/real_time")
            best[name] = min(best.get(name, float("inf")), row["real_time"])
    return best


def keep_minima(best, new):
    for name, value in new.items():
        best[name] = min(best.get(name, float("inf")), value)


def compare_forwards(arguments):
    """Prints the table; returns {row: time of the faster PyTorch form over ours}."""
    ratios = {}
    print(f"milliseconds, {arguments.threads} thread(s), minimum over rounds\n"
          f"{'forward':28}{'ours':>9}{'contiguous':>12}{'channels last':>15}{'PyTorch / ours':>16}{'bfloat16':>10}"
          f"{'one by one':>12}", flush=True)
    for kind, channels in (("sns", 3), ("gaussian", 1)):
        for hidden in arguments.widths:
            net = network(kind, hidden)
            for batch in BATCHES:
                x = torch.randn(batch, channels, 64, 64)
                mine, plain, last = {}, float("inf"), float("inf")
                for _ in range(arguments.rounds):
                    keep_minima(mine, ours(arguments.program, arguments.threads, f"^forward/{kind}.*/{hidden}/{batch}/"))
                    plain = min(plain, theirs(net.to(memory_format=torch.contiguous_format), x))
                    last = min(last, theirs(net.to(memory_format=torch.channels_last),
                                            x.to(memory_format=torch.channels_last)))
                whole, half, single = (mine.get(f"forward/{kind}{way}/{hidden}/{batch}", float("nan"))
                                       for way in ("", "_bfloat16", "_one_by_one"))
                row = f"{kind}, hidden {hidden}, batch {batch}"
                ratios[row] = min(plain, last) / whole
                print(f"{row:28}{whole:9.2f}{plain:12.2f}{last:15.2f}{ratios[row]:16.2f}{half:10.2f}{single:12.2f}",
                      flush=True)
    return ratios


def compare_refinement(arguments):
    """Prints the table; returns {row: time of the refinement over that of its forwards}."""
    ratios = {}
    print("\nrefinement of 8 trajectories by path A against its network forwards, milliseconds\n"
          f"{'hidden':18}{'refine':>9}{'forwards':>12}{'ratio':>15}")
    for hidden in arguments.widths:
        best = {}
        for _ in range(arguments.rounds):
            keep_minima(best, ours(arguments.program, arguments.threads, f"^refine/.*/{hidden}/"))
        whole, alone = best[f"refine/path_A/{hidden}"], best[f"refine/forwards_alone/{hidden}"]
        ratios[f"refinement, hidden {hidden}"] = whole / alone
        print(f"{hidden:<18}{whole:9.1f}{alone:12.1f}{whole / alone:15.3f}", flush=True)
    return ratios


def missed(arguments, forwards, refinements):
    """A line for every figure that is worse than demanded, or is none."""
    lines = []
    if arguments.require is not None:
        lines += [f"{row}: PyTorch / ours is {ratio:.3f}, below {arguments.require:g}"
                  for row, ratio in forwards.items() if not ratio >= arguments.require]
    if arguments.require_refine is not None:
        lines += [f"{row}: refinement / forwards is {ratio:.3f}, above {arguments.require_refine:g}"
                  for row, ratio in refinements.items() if not ratio <= arguments.require_refine]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--program", default=str(ROOT / "build/bench-networks/bin/bench_networks"))
    parser.add_argument("--require", type=float, metavar="RATIO",
                        help="least that the faster PyTorch form's time may be, as a multiple of ours, in every row")
    parser.add_argument("--require-refine", type=float, metavar="RATIO",
                        help="most that a refinement may take, as a multiple of its forwards")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = missed(arguments, compare_forwards(arguments), compare_refinement(arguments))
    if lines:
        sys.exit("compare_networks: " + "\ncompare_networks: ".join(lines))


if __name__ == "__main__":
    main()
