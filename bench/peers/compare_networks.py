"""Forward passes of the paper's networks: ours against the same networks in PyTorch, from the same wheel.

usage: .venv-well/bin/python3 bench/peers/compare_networks.py [--rounds R] [--threads N] [--program PATH]

Needs scripts/setup_wheel_checks and a build with -DSNS_BENCH=ON. Both sides take turns; figures are wall-clock minima
over the rounds. Also prints what a path A refinement of eight trajectories costs beside its network forwards.
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


def network(kind):
    return Network({"kind": kind, "field_channels": 1, "image": 64, "diffusion": {"levels": 1000},
                    "network": {"hidden": 64, "multipliers": [2, 2, 2], "blocks": 2}}).eval()


def theirs(net, x, calls):
    with torch.inference_mode():
        net(x)
        best = float("inf")
        for _ in range(calls):
            start = time.perf_counter()
            net(x)
            best = min(best, time.perf_counter() - start)
    return 1e3 * best


def ours(program, threads, pattern):
    out = subprocess.run([program, f"--threads={threads}", f"--benchmark_filter={pattern}", "--benchmark_format=json",
                          "--benchmark_min_time=1"], check=True, capture_output=True, text=True).stdout
    return {b["name"].removesuffix("/real_time"): b["real_time"] for b in json.loads(out)["benchmarks"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/bench_networks"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    print(f"milliseconds, {arguments.threads} thread(s), minimum over rounds\n"
          f"{'forward':18}{'ours':>9}{'contiguous':>12}{'channels last':>15}{'PyTorch / ours':>16}", flush=True)
    for kind, channels in (("sns", 3), ("gaussian", 1)):
        net = network(kind)
        for batch in (1, 8):
            x = torch.randn(batch, channels, 64, 64)
            mine = plain = last = float("inf")
            for _ in range(arguments.rounds):
                mine = min(mine, *ours(arguments.program, arguments.threads, f"^forward/{kind}/{batch}/").values())
                plain = min(plain, theirs(net.to(memory_format=torch.contiguous_format), x, 3))
                last = min(last, theirs(net.to(memory_format=torch.channels_last),
                                        x.to(memory_format=torch.channels_last), 3))
            print(f"{kind + ', batch ' + str(batch):18}{mine:9.1f}{plain:12.1f}{last:15.1f}"
                  f"{min(plain, last) / mine:16.2f}", flush=True)

    print("\nrefinement of 8 trajectories by path A against its network forwards\n"
          f"{'hidden':18}{'refine':>9}{'forwards':>12}{'ratio':>15}")
    for hidden in (8, 64):
        best = {}
        for _ in range(arguments.rounds):
            for name, value in ours(arguments.program, arguments.threads, f"^refine/.*/{hidden}/").items():
                best[name] = min(best.get(name, float("inf")), value)
        whole, alone = best[f"refine/path_A/{hidden}"], best[f"refine/forwards_alone/{hidden}"]
        print(f"{hidden:<18}{whole:9.1f}{alone:12.1f}{whole / alone:15.3f}", flush=True)


if __name__ == "__main__":
    main()
