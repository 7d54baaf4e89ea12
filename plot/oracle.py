"""The oracle trade-off: error of the estimate of x_t from a noisy x_{t-1}, as the SNS paper's Fig. 3."""

import json

from common import SOLVER, SYMBOLS, np, open_h5, plt, save
from families import FAMILIES

TILE = 1.42  # inches
ESTIMATE = FAMILIES["sns"][0]


def draw_tile(axes, frame, limit, y_first, title=None):
    """One field in standard deviations."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, pad=4, fontsize=8.5)
    return axes.imshow(frame if y_first else frame.T, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit,
                       interpolation="nearest")


def draw_curve(axes, file, facts):
    levels, error = file["past_levels"][...], file["error"][...]
    if np.isfinite(error[:, 1]).all():
        axes.fill_between(levels, error[:, 1], error[:, 2], color=ESTIMATE, alpha=0.2, lw=0)
    axes.plot(levels, error[:, 0], color=ESTIMATE, label="estimate", marker="o" if len(levels) < 30 else None, ms=4)
    for name, style, label in (("persistence", "--", r"$x_{t-1}$ for $x_t$"), ("zero", ":", "zero: variance")):
        axes.axhline(file.attrs[name], color=SOLVER, lw=1, ls=style, label=label)
    for level in file["example/past_levels"][...]:
        axes.axvline(level, color="#cccccc", lw=0.6, zorder=0)
    axes.set(yscale="log", xlabel=r"noise level $s_2$ of $x_{t-1}$", ylabel=r"$\langle(\hat x_t - x_t)^2\rangle$ / variance",
             xlim=(0, facts["levels"] - 1))
    axes.legend()


def oracle(folder, options):
    facts = json.loads((folder / "oracle.json").read_text())
    with open_h5(folder / "oracle.h5") as file:
        example = file["example"]
        levels = example["past_levels"][...]
        name, y_first = str(file.attrs["fields"][0]), file.attrs["axes"][0] == "y"
        columns = len(levels) + 2
        width, height = columns * TILE + 1.5, 2 * TILE + 3.6
        figure = plt.figure(figsize=(width, height))
        left, right = 0.75 / width, 1 - 0.75 / width
        tiles = figure.add_gridspec(2, columns, left=left, right=right, top=1 - 0.35 / height, bottom=3.3 / height,
                                    wspace=0.06, hspace=0.2)

        def tile(row, column, frame, title=None):
            axes = figure.add_subplot(tiles[row, column])
            return axes, draw_tile(axes, frame[0], options.color_limit, y_first, title)

        tile(0, 0, example["past"][0], "$x_{t-1}$")[0].set_ylabel("given")
        axes, image = tile(1, 0, example["present"][0], "$x_t$, wanted")
        tile(0, 1, example["noised_present"][0], f"$x_t$ at $s_1$ = {facts['level']}")
        for i, level in enumerate(levels):
            tile(0, i + 2, example["noised_past"][i], f"$x_{{t-1}}$ at $s_2$ = {level}")
            error = np.mean((example["estimate"][i] - example["present"][0]) ** 2)
            tile(1, i + 2, example["estimate"][i], rf"$\hat x_t$: error {error:.2g}")
        bar_axes = figure.add_axes([right + 0.1 / width, 3.3 / height, 0.1 / width, 1 - 3.65 / height])
        bar = figure.colorbar(image, cax=bar_axes, extend="both", extendfrac=0.02)
        bar.set_label(f"{SYMBOLS.get(name, (name, name))[1]} / std")
        bar.outline.set_visible(False)
        draw_curve(figure.add_axes([left, 0.5 / height, right - left, 2.4 / height]), file, facts)
    save(figure, options, "oracle")
