#!/usr/bin/env python3
"""What the noise heads of an SNS see in the frames of a surrogate, beside noise and beside errors of the same size.

    scripts/noise_heads.py --surrogate weights/kolmogorov-cpu/gaussian_forcing --sns weights/kolmogorov-cpu/sns_fine \\
        --data runs/kolmogorov-quickstart/truth

Frames x of the solver, 50 apart (--spacing), are followed by the surrogate's next frame, y = x' + e instead of the solver's x',
and the heads are asked which levels the two frames of a pair have. Rows:

    solver            (x, x')
    surrogate, n      the surrogate's last two frames after n steps from x, of which no error is known beyond the first
    other errors      (x, x' + e of the pair that is half of the list away): errors like those, but not made from this x
    phases at random  (x, x' + noise with the spectrum of e)
    error reversed    (x, x' - e)
    white, f          (x, x' + white noise, f times as large as e)

Columns: mean level of the past and of the present frame, share of present frames above level 0. With --classify noised the heads see both frames with
the noise of the lowest level.

With --levels, a second table: what is left of an error that is put on the present frame. As one estimate of a refinement at levels (0, s) does,
noise of the levels is added to the pair and the network estimates the clean frames, being told the levels. Rows: kind and size of the error, what the
heads say of it; columns: root mean square of the estimate's error, one for each level s. All in standard deviations of the field. Kinds (--errors):

    white    white noise
    other    errors that the surrogate made in other frames
    change   what another flow of the solver changes from one frame to the next
    flow     another flow of the solver

Runs `sns predict`, whose program is
build/release/bin/sns unless --program names another. The averaged weights are asked. Lagged networks are not for this
script.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHITE = (0.5, 1.0, 2.0, 4.0)


class Predictor:
    """`sns predict` on arrays of frames (pairs, fields, x, y)."""

    def __init__(self, program, folder, classify="as_given"):
        self.program, self.folder, self.classify = program, pathlib.Path(folder), classify

    def run(self, weights, frames, what, *options):
        """The array `what` that the network makes of frames, whose axis of fields goes where there is one field."""
        source, out = self.folder / "in.h5", self.folder / "out.h5"
        axis = frames.ndim - 3
        with h5py.File(source, "w") as file:
            file["frames"] = np.float32(frames.squeeze(axis) if frames.shape[axis] == 1 else frames)
        done = subprocess.run([self.program, "predict", "--weights", weights, "--input", f"{source}:/frames", "-o", out,
                               "--overwrite", *options], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr.strip() or f"{self.program} predict ended with {done.returncode}")
        with h5py.File(out) as file:
            return file[what][...]

    def step(self, surrogate, frames):
        return self.run(surrogate, frames, "next").reshape(frames.shape)

    def estimate(self, sns, past, present, level):
        """Of the clean present frame, at levels (0, level)."""
        pairs = self.run(sns, np.stack([past, present], axis=1), "estimate", "--oracle", f"0,{level}")
        return pairs.reshape(len(past), 2, -1)[:, 1].reshape(present.shape)

    def levels(self, sns, past, present):
        return self.run(sns, np.stack([past, present], axis=1), "levels",
                        *(["--classify", self.classify] if self.classify != "as_given" else [])).reshape(-1, 2)


def read_pairs(folder, spacing):
    """(x, x'), each (pairs, fields, x, y), from all files of a data set's folder or of a truth's."""
    past, present = [], []
    for path in sorted(pathlib.Path(folder).rglob("*.h5")):
        with h5py.File(path) as file:
            fields = [file["t0_fields"][name] for name in file["t0_fields"].attrs["field_names"]]
            for trajectory in range(fields[0].shape[0]):
                for t in range(0, fields[0].shape[1] - 1, spacing):
                    pair = np.stack([field[trajectory, t:t + 2] for field in fields], axis=1)
                    past.append(pair[0])
                    present.append(pair[1])
    if not past:
        sys.exit(f"{folder}: no HDF5 file with frames")
    return np.float64(past), np.float64(present)


def with_random_phases(error, rng):
    """Noise with the power of each Fourier mode of each error."""
    noise = np.fft.fft2(rng.normal(size=error.shape))
    return np.fft.ifft2(np.abs(np.fft.fft2(error)) * noise / np.abs(noise)).real


def rows(predictor, arguments):
    """(name, past levels, present levels), one row after the other."""
    rng = np.random.default_rng(arguments.seed)
    past, present = read_pairs(arguments.data, arguments.spacing)

    def asked(name, *frames):
        levels = predictor.levels(arguments.sns, *frames)
        return name, levels[:, 0], levels[:, 1]

    yield asked("solver", past, present)
    before, now = past, predictor.step(arguments.surrogate, past)
    error = now - present
    size = error.std(axis=(0, 2, 3), keepdims=True)
    print(f"{len(past)} pairs; error of one step: "
          + ", ".join(f"{e:.4g}" for e in (size / present.std(axis=(0, 2, 3), keepdims=True)).ravel())
          + " standard deviations of the field", file=sys.stderr)
    for step in range(1, max(arguments.steps) + 1):
        if step in arguments.steps:
            yield asked(f"surrogate, {step}", before, now)
        before, now = now, predictor.step(arguments.surrogate, now)
    if len(error) > 1:  # of a single pair there is no other one's
        yield asked("other errors", past, present + np.roll(error, len(error) // 2, axis=0))
    yield asked("phases at random", past, present + with_random_phases(error, rng))
    yield asked("error reversed", past, present - error)
    for factor in WHITE:
        yield asked(f"white, {factor:g}", past, present + factor * size * rng.normal(size=error.shape))


def errors(kind, past, present, predictor, surrogate):
    """Errors of a kind that is not noise, one for each frame, of root mean square 1 over all."""
    shift = len(present) // 3
    if kind == "other":
        made = np.roll(predictor.step(surrogate, past) - present, len(present) // 2, axis=0)
    elif kind == "change":
        made = np.roll(present - past, shift, axis=0)
    else:
        made = np.roll(present, shift, axis=0)
    return made / np.sqrt(np.mean(made**2, axis=(0, 2, 3), keepdims=True))


def residuals(predictor, arguments):
    """(kind, size, present levels that the heads see, [error of the estimate at each level]), one row after the other, in standard
    deviations of the field."""
    rng = np.random.default_rng(arguments.seed)
    past, present = read_pairs(arguments.data, arguments.spacing)
    if len(present) < 3:
        sys.exit(f"{arguments.data}: {len(present)} pairs; errors of other frames and flows need three at least")
    scale = present.std(axis=(0, 2, 3), keepdims=True)
    for kind in arguments.errors:
        made = None if kind == "white" else errors(kind, past, present, predictor, arguments.surrogate)
        for size in arguments.noise:
            wrong = present + size * scale * (rng.normal(size=present.shape) if made is None else made)
            yield kind, size, predictor.levels(arguments.sns, past, wrong)[:, 1], [
                np.sqrt(np.mean(((predictor.estimate(arguments.sns, past, wrong, level) - present) / scale) ** 2))
                for level in arguments.levels]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogate", required=True, help="weights folder of a Gaussian network")
    parser.add_argument("--sns", required=True, help="weights folder of an SNS network")
    parser.add_argument("--data", required=True, help="folder of solver frames: a data set, a split of one, or a run's truth")
    parser.add_argument("--spacing", type=int, default=50, help="frames from one pair to the next (default 50)")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 5, 10, 30], help="steps of the surrogate (default 1 2 5 10 30)")
    parser.add_argument("--levels", type=int, nargs="+", default=[], help="ask what is left of errors at these (default: do not)")
    parser.add_argument("--errors", nargs="+", choices=("white", "other", "change", "flow"), default=["white"],
                        help="kinds of errors (default white)")
    parser.add_argument("--noise", type=float, nargs="+", default=[0, 0.0055, 0.011, 0.022, 0.044],
                        help="their sizes, in standard deviations of the field (default 0 0.0055 0.011 0.022 0.044)")
    parser.add_argument("--classify", choices=("as_given", "noised"), default="as_given", help="what the heads see (default as_given)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise that this script adds (default 0); sns predict draws by its own")
    parser.add_argument("--program", default=ROOT / "build/release/bin/sns", help="sns (default build/release/bin/sns)")
    arguments = parser.parse_args()
    if arguments.spacing < 1 or min(arguments.steps) < 1:
        parser.error("--spacing and --steps must be positive")
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(arguments.program, folder, arguments.classify)
        print(f"{'':18}{'past':>6}{'present':>9}{'above 0':>9}")
        for name, past, present in rows(predictor, arguments):
            print(f"{name:18}{past.mean():6.2f}{present.mean():9.2f}{np.mean(present > 0):9.0%}", flush=True)
        if arguments.levels:
            print("\nleft of errors" + " " * 22 + "present  above 0   at level" + "".join(f"{level:8}" for level in arguments.levels))
            for kind, size, seen, left in residuals(predictor, arguments):
                print(f"{kind:8}{size:<28}{seen.mean():7.2f}{np.mean(seen > 0):9.0%}" + " " * 11
                      + "".join(f"{error:8.4f}" for error in left), flush=True)


if __name__ == "__main__":
    main()
