"""Forward passes of the paper's networks: ours against the same networks in PyTorch, from the same wheel.

usage: bench/peers/run networks [--rounds R] [--threads N] [--program PATH]

Both sides take turns; figures are wall-clock minima over the rounds. Also prints what bfloat16 gains, what evaluating
samples one by one costs, and what a path A refinement of eight trajectories costs beside its network forwards.
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
                print(f"{f'{kind}, hidden {hidden}, batch {batch}':28}{whole:9.2f}{plain:12.2f}{last:15.2f}"
                      f"{min(plain, last) / whole:16.2f}{half:10.2f}{single:12.2f}", flush=True)


def compare_refinement(arguments):
    print("\nrefinement of 8 trajectories by path A against its network forwards, milliseconds\n"
          f"{'hidden':18}{'refine':>9}{'forwards':>12}{'ratio':>15}")
    for hidden in arguments.widths:
        best = {}
        for _ in range(arguments.rounds):
            keep_minima(best, ours(arguments.program, arguments.threads, f"^refine/.*/{hidden}/"))
        whole, alone = best[f"refine/path_A/{hidden}"], best[f"refine/forwards_alone/{hidden}"]
        print(f"{hidden:<18}{whole:9.1f}{alone:12.1f}{whole / alone:15.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--program", default=str(ROOT / "build/bench-networks/bin/bench_networks"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compare_forwards(arguments)
    compare_refinement(arguments)


if __name__ == "__main__":
    main()
