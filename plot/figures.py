#!/usr/bin/env python3
"""Draws figures from what is in <folder>/evaluation and <folder>/oracle into <folder>/figures."""

import argparse
import sys
from pathlib import Path

from common import BANDS, evaluations
from dynamics import dynamics, stability
from forecast import forecast
from levels import levels
from oracle import oracle
from snapshots import snapshots, traversals
from temporal import temporal

EVALUATED = {"snapshots": snapshots, "dynamics": dynamics, "stability": stability, "levels": levels,
             "temporal": temporal, "traversals": traversals, "forecast": forecast}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of results")
    parser.add_argument("--kinds", default="snapshots,dynamics,stability", help=f"of {', '.join(EVALUATED)}, oracle")
    parser.add_argument("--dpi", type=int, default=160)
    parser.add_argument("--color-limit", type=float, default=4, help="colour range in standard deviations of truth")
    parser.add_argument("--band", choices=sorted(BANDS), default="spread", help="bands of spectra over members")
    parser.add_argument("--pdf", action=argparse.BooleanOptionalAction, default=True, help="vector copy as well")
    options = parser.parse_args()
    options.kinds = options.kinds.split(",")
    options.figures = options.folder / "figures"
    return options


def main():
    options = arguments()
    options.figures.mkdir(parents=True, exist_ok=True)
    evaluation = options.folder / "evaluation"
    if unknown := [kind for kind in options.kinds if kind not in (*EVALUATED, "oracle")]:
        sys.exit(f"--kinds: no figures are named {', '.join(unknown)}; there are {', '.join(EVALUATED)} and oracle")
    if "oracle" in options.kinds and not (options.folder / "oracle").is_dir():
        sys.exit(f"{options.folder} holds no folder oracle: run sns oracle first")
    evaluated = [kind for kind in options.kinds if kind != "oracle"]
    if evaluated and not (evaluation / "curves.h5").exists():
        sys.exit(f"{evaluation} holds no curves.h5: run sns evaluate first")
    fields = evaluations(evaluation) if evaluated else []
    for kind in evaluated:
        EVALUATED[kind](fields, options)
    if "oracle" in options.kinds:
        oracle(options.folder / "oracle", options)


if __name__ == "__main__":
    main()
