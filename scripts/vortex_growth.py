#!/usr/bin/env python3
"""By how much a surrogate's step, and a refiner after it, strengthen the strongest vortex of a frame.

    scripts/vortex_growth.py --rollout runs/qg2layer-resolved-trained/rollouts/sns_trained.h5 \\
        --truth runs/qg2layer-resolved-trained/truth \\
        --surrogate weights/qg2layer-resolved/gaussian_trained --refiner weights/qg2layer-resolved/sns_mixed

Frames of the rollout, --spacing apart (of members that are lost the last --last ones only, others to the end), are followed by the surrogate's next
frame y; the refiner (an SNS or a thermalizer) gets (x, y) or y, --draws times with other noise. The strength of a vortex is the root mean square of
the first field over the 5 x 5 points around its largest value. Rows: frames by that largest value, in standard deviations of the truth.
Columns: number of frames; 1000 times the mean logarithm of the strength in y over that in x (surrogate), and in the refined frame over that in y
(refiner), with the standard errors of as many independent frames, which those of one member are not; the same of the solver's own frames that have
such a largest value (solver), of which the strongest ones weaken since they are chosen by being strong.

Runs `sns predict`, whose program is build/release/bin/sns unless --program names another. Further options of it come last and go to the refiner:
those that the rollout's method had, such as --fixed-levels 0,0, --classify noised, or of a thermalizer --start-level -1 --stop-level -1; without
them it acts at the levels that its heads say.
"""

import argparse
import pathlib
import sys
import tempfile

import h5py
import numpy as np
from noise_heads import ROOT, Predictor

EDGES = (0, 3, 4, 5, 6, 8, 11, 15, 20, np.inf)  # standard deviations
REACH = 2  # points to each side of the largest value


def strongest(frames):
    """Largest value of the first field of each frame (frames, fields, x, y)."""
    return np.abs(frames[:, 0]).max(axis=(1, 2))


def strength(frames):
    """Root mean square of the first field around its largest value."""
    found = []
    for field in frames[:, 0]:
        x, y = np.unravel_index(np.abs(field).argmax(), field.shape)
        reach = np.arange(-REACH, REACH + 1)
        found.append(np.sqrt(np.mean(field[np.ix_((x + reach) % field.shape[0], (y + reach) % field.shape[1])] ** 2)))
    return np.array(found)


def read_rollout(path, last, spacing):
    """Frames (frames, fields, x, y), member by member."""
    with h5py.File(path) as file:
        fields = [file[name] for name in ("vorticity", "q_upper", "q_lower") if name in file]
        chosen = []
        for member in range(fields[0].shape[0]):
            finite = np.isfinite(fields[0][member, :, 0, 0])
            end = int(finite.sum())
            steps = np.arange(1 if finite.all() else max(1, end - last), end, spacing)
            chosen.append(np.stack([field[member][steps] for field in fields], axis=1))
    return np.concatenate(chosen)


def read_truth(folder, spacing):
    """(x, x') of the solver, each (frames, fields, x, y)."""
    now, after = [], []
    for path in sorted(pathlib.Path(folder).rglob("*.h5")):
        with h5py.File(path) as file:
            fields = [file["t0_fields"][name] for name in file["t0_fields"].attrs["field_names"]]
            for trajectory in range(fields[0].shape[0]):
                steps = np.arange(0, fields[0].shape[1] - 1, spacing)
                frames = [field[trajectory] for field in fields]
                now.append(np.stack([frame[steps] for frame in frames], axis=1))
                after.append(np.stack([frame[steps + 1] for frame in frames], axis=1))
    if not now:
        sys.exit(f"{folder}: no HDF5 file with frames")
    return np.concatenate(now), np.concatenate(after)


def text(growth):
    if len(growth) < 2:
        return "-"
    return f"{1000 * np.mean(growth):+.2f} ({1000 * np.std(growth) / np.sqrt(len(growth)):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollout", required=True, help="rollout file")
    parser.add_argument("--truth", required=True, help="folder of the truth")
    parser.add_argument("--surrogate", required=True, help="weights folder")
    parser.add_argument("--refiner", required=True, help="weights folder of an SNS or a thermalizer")
    parser.add_argument("--last", type=int, default=400, help="frames before a loss that are looked at (400)")
    parser.add_argument("--spacing", type=int, default=3, help="of frames (3)")
    parser.add_argument("--draws", type=int, default=3, help="of the refiner's noise (3)")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/sns"))
    arguments, options = parser.parse_known_args()
    if min(arguments.last, arguments.spacing, arguments.draws) < 1:
        parser.error("--last, --spacing and --draws must be at least 1")
    solver, after = read_truth(arguments.truth, arguments.spacing)
    std = solver[:, 0].std()
    frames = read_rollout(arguments.rollout, arguments.last, arguments.spacing)
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(arguments.program, folder)
        proposed = predictor.step(arguments.surrogate, frames)
        pairs = np.stack([frames, proposed], axis=1)
        alone = "kind: thermalizer" in (pathlib.Path(arguments.refiner) / "config.yaml").read_text()
        refined = [predictor.run(arguments.refiner, proposed if alone else pairs, "refined", "--seed", str(draw), *options)
                   for draw in range(arguments.draws)]
    refined = [made.reshape(frames.shape) if alone else made.reshape(pairs.shape)[:, 1] for made in refined]
    surrogate = np.log(strength(proposed) / strength(frames))
    refiner = np.mean([np.log(strength(made) / strength(proposed)) for made in refined], axis=0)
    of_solver = np.log(strength(after) / strength(solver))
    print(f"{'largest value':>14} {'frames':>7} {'surrogate':>16} {'refiner':>16} {'solver':>16} {'frames':>8}")
    for low, high in zip(EDGES, EDGES[1:]):
        chosen, theirs = [(low <= value / std) & (value / std < high) for value in (strongest(frames), strongest(solver))]
        if chosen.any() or theirs.any():
            print(f"{f'{low} to {high:g}':>14} {chosen.sum():>7} {text(surrogate[chosen]):>16} {text(refiner[chosen]):>16} {text(of_solver[theirs]):>16} {theirs.sum():>8}")


if __name__ == "__main__":
    main()
