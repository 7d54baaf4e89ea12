#!/usr/bin/env python3
"""Films the solver and rollouts side by side from one initial condition: an MP4 file."""

import argparse
import shutil
import sys
from pathlib import Path

from common import MISSING_PACKAGE, SOLVER, np, open_h5, plt
from families import method_styles

TILE = 2.0  # inches
DPI = 120


def find_ffmpeg():
    """Path of ffmpeg: the system's, or that of the package imageio-ffmpeg. Leaves the program without either."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        print("a video needs ffmpeg: install it, or pip install imageio-ffmpeg", file=sys.stderr)
        sys.exit(MISSING_PACKAGE)


class Frames:
    """One member of a file: frames of its fields in standard deviations, read one by one."""

    def __init__(self, file, fields, group, index):
        self.datasets = [file[f"{group}{name}"] for name in fields]
        self.index = index
        self.count = self.datasets[0].shape[1]

    def __getitem__(self, step):
        return [dataset[self.index, step] for dataset in self.datasets]


def open_truth(folder, trajectory):
    """File and frames of a trajectory of a data set."""
    for path in sorted(folder.glob("data/*/*.h5")):
        file = open_h5(path)
        ids = list(file["provenance/trajectory_id"][...])
        if trajectory in ids:
            return file, ids.index(trajectory)
    sys.exit(f"{folder} holds no trajectory {trajectory}")


def scale_of(frames, fields):
    """Standard deviation of each field over a hundred frames of the solver."""
    shown = [frames[step] for step in np.unique(np.linspace(0, frames.count - 1, 100).astype(int))]
    return [float(np.std([frame[f] for frame in shown])) for f in range(len(fields))]


def counts(name, file):
    """What metrics.json says of the work of a rollout."""
    evaluations, levels = file["evaluations"][...].sum(axis=(0, 1)), file["levels"][...]
    return {"name": name, "levels": {head: [int((levels[:, :, i] >= 0).sum())] for i, head in enumerate(("past", "present"))},
            "cost": {"solver": "solver_points" in file.attrs,
                     "evaluations_per_step": dict(zip(("surrogate", "classifier", "denoiser"), evaluations))}}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="data-set folder of the solver's trajectories")
    parser.add_argument("output", type=Path, help="MP4 file")
    parser.add_argument("--rollout", nargs=2, action="append", required=True, metavar=("METHOD", "FILE"))
    parser.add_argument("--fields", required=True, help="comma-separated, in the order shown")
    parser.add_argument("--first-axis", default="x", help="of the stored frames")
    parser.add_argument("--time-units", default="", help="of the files")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--fps", type=int, default=24)
    parser.add_argument("--steps", type=int, help="shown, from the first on; default: all")
    parser.add_argument("--member", type=int, default=0, help="which initial condition")
    parser.add_argument("--color-limit", type=float, default=4, help="colour range in standard deviations of truth")
    options = parser.parse_args()
    options.fields = options.fields.split(",")
    return options


def make_tiles(columns, fields, y_first, limit, points):
    """Figure with one image per column and field; returns it, the images and the title."""
    rows = len(fields)
    figure, axes = plt.subplots(rows, len(columns), squeeze=False, dpi=DPI,
                                figsize=(TILE * len(columns) + 0.1, TILE * rows + 0.6))
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.55 / (TILE * rows + 0.6), wspace=0.03, hspace=0.03)
    images, colors = [], plt.get_cmap("RdBu_r").with_extremes(bad="#f2f2f2")
    for r in range(rows):
        for c, (label, color) in enumerate(columns):
            axes[r, c].set_axis_off()
            if r == 0:
                axes[r, c].set_title(label, color=color, fontweight="bold", fontsize=10, pad=3)
            images.append(axes[r, c].imshow(np.zeros((points, points)), origin="lower", cmap=colors, vmin=-limit,
                                            vmax=limit, interpolation="nearest"))
    return figure, images, figure.suptitle("", x=0.01, y=0.995, ha="left", fontsize=9)


def main():
    options = arguments()
    plt.rcParams["animation.ffmpeg_path"] = find_ffmpeg()
    from matplotlib.animation import FFMpegWriter

    files = [open_h5(path) for _, path in options.rollout]
    trajectory = files[0]["member"][options.member]
    truth_file, index = open_truth(options.truth, trajectory)
    fields, y_first = options.fields, options.first_axis == "y"
    solver = Frames(truth_file, fields, "t0_fields/", index)
    rows = [solver] + [Frames(file, fields, "", list(file["member"][...]).index(trajectory)) for file in files]
    scale = scale_of(solver, fields)
    interval = float(files[0]["time"][1] - files[0]["time"][0])
    last = min(row.count for row in rows) - 1
    last = min(last, options.steps) if options.steps else last
    steps = np.unique(np.linspace(0, last, max(2, round(options.seconds * options.fps))).round().astype(int))
    # The video lies in a folder of the results, like the figures.
    styles = method_styles(options.output.resolve().parent.parent / "config.yaml",
                           [counts(name, file) for (name, _), file in zip(options.rollout, files)])
    columns = [("solver", SOLVER)] + [(name, styles[name][0]) for name, _ in options.rollout]
    figure, images, title = make_tiles(columns, fields, y_first, options.color_limit, solver[0][0].shape[0])
    # A rollout of few steps is shown more slowly, not in fewer seconds.
    writer = FFMpegWriter(fps=max(1, round(len(steps) / options.seconds)), codec="h264",
                          extra_args=["-pix_fmt", "yuv420p", "-crf", "20"])
    with writer.saving(figure, str(options.output), DPI):
        for step in steps:
            for i, row in enumerate(rows):
                for f, frame in enumerate(row[step]):
                    image = images[f * len(rows) + i]
                    image.set_data(np.ma.masked_invalid((frame if y_first else frame.T) / scale[f]))
            time = step * interval
            title.set_text(f"step {step}, " + (f"{time / 86400:.1f} days" if options.time_units == "s" else
                                                f"t = {time:.2f}"))
            writer.grab_frame()


if __name__ == "__main__":
    main()
