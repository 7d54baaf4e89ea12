#!/usr/bin/env python3
"""Whether the small scales of a rollout have the shape of the flow's, which spectra do not tell: their flatness beside the solver's.

    scripts/small_scales.py runs/kolmogorov-interval
    scripts/small_scales.py runs/kolmogorov-interval --band 8 16 --from 250 --spacing 25

Of each field, filtered to wavenumbers (periods per side) within the band, the fourth moment over the square of the second, both over points, frames and
members: 3 for Gaussian noise, more where filaments and cores stand out from what is calm. Rows: the solver's runs that the methods start from, its other runs, each method's
file in rollouts/. Frames that are not finite are left out. The metric flatness_ratio (docs/metrics.md) is of this kind, of single members and windows,
in the band that this has as its default for frames of 32 x 32 points; here band and frames are to be chosen, and all members are taken together.
"""

import argparse
import pathlib

import h5py
import numpy as np


def flatness(frames, band):
    """Of frames (..., x, y)."""
    points = frames.shape[-1]
    k = np.fft.fftfreq(points, 1 / points)
    wavenumber = np.hypot(k[:, None], k[None])
    modes = np.fft.fft2(frames)
    modes[..., (wavenumber < band[0]) | (wavenumber > band[1])] = 0
    filtered = np.fft.ifft2(modes).real
    return np.mean(filtered**4) / np.mean(filtered**2) ** 2


def usable(frames):
    """Frames in a row, without those of lost members."""
    flat = np.float64(frames).reshape(-1, *frames.shape[-2:])
    return flat[np.isfinite(flat).all(axis=(1, 2))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="run folder, with truth/ and rollouts/")
    parser.add_argument("--band", type=float, nargs=2, default=(8, 16), metavar=("LEAST", "MOST"), help="wavenumbers (default 8 16)")
    parser.add_argument("--from", dest="first", type=int, default=250, help="first frame (default 250)")
    parser.add_argument("--spacing", type=int, default=25, help="from one frame to the next (default 25)")
    arguments = parser.parse_args()
    taken = slice(arguments.first, None, arguments.spacing)
    rollouts = sorted((arguments.run / "rollouts").glob("*.h5"))
    if not rollouts:
        parser.error(f"{arguments.run} holds no rollouts")
    with h5py.File(rollouts[0]) as file:
        members = file["failed_step"].shape[0]

    def show(name, field, frames):
        frames = usable(frames)
        print(f"{name:28} {field:12} {flatness(frames, arguments.band) if len(frames) else np.nan:6.3f}  {len(frames)} frames", flush=True)

    truth = {}
    for path in sorted((arguments.run / "truth").rglob("*.h5")):
        with h5py.File(path) as file:
            for field in file["t0_fields"].attrs["field_names"]:
                truth.setdefault(field, []).append(file["t0_fields"][field][:, taken])
    for field, parts in truth.items():
        runs = np.concatenate(parts)
        show("solver", field, runs[:members])
        if len(runs) > members:
            show("solver, other runs", field, runs[members:])
    for path in rollouts:
        with h5py.File(path) as file:
            for field in truth:
                show(path.stem, field, file[field][:, taken])


if __name__ == "__main__":
    main()
