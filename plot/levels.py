"""Histograms of the noise levels that the methods' heads predict, as the SNS paper's Fig. 7."""

from common import fitting_legend, letter, np, plt, save

PANELS = {"past_levels": r"previous frame: $p_{\rm short}$", "present_levels": r"new frame: $p_{\rm t}$"}
MOST_BARS = 64  # of a panel; neighbouring levels share a bar beyond it


def bars(counts, highest):
    """Edges and counts of at most MOST_BARS bars over levels 0..highest."""
    width = -(-(highest + 1) // MOST_BARS)
    edges = np.arange(0, highest + 1 + width, width)
    padded = np.zeros(edges[-1])
    padded[: min(len(counts), edges[-1])] = counts[: edges[-1]]
    return edges - 0.5, padded.reshape(-1, width).sum(axis=1)


def draw_panel(axes, methods, name, highest):
    rarest = 1
    for i, curves in enumerate(methods):
        counts = curves[name]
        if counts.sum() == 0:
            continue  # a thermalizer has no head for the previous frame
        edges, share = bars(counts / counts.sum(), highest)
        shift = min(0.1, 0.4 / len(methods)) * (i - (len(methods) - 1) / 2)  # none hides another
        edges = edges + shift * (edges[1] - edges[0])
        mean = (np.arange(len(counts)) * counts).sum() / counts.sum()
        axes.stairs(share, edges, color=curves.color, ls=curves.dash, lw=1.8, label=f"{curves.label}: mean {mean:.3g}")
        axes.stairs(share, edges, color=curves.color, alpha=0.15, fill=True)
        rarest = min(rarest, share[share > 0].min())
    axes.set(yscale="log", xlabel="predicted level", title=PANELS[name], ylim=(min(rarest / 2, 0.005), 3))
    axes.minorticks_off()
    axes.xaxis.get_major_locator().set_params(integer=True)
    if axes.get_legend_handles_labels()[0]:
        fitting_legend(lambda ncols: axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=ncols), 2,
                       axes.figure.bbox.width / len(PANELS))


def levels(fields, options):
    methods = [c for c in fields[0].methods if sum(c[name].sum() for name in PANELS) > 0]
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2 + 0.1 * len(methods)), layout="constrained", sharex=True)
    highest = max((np.flatnonzero(c[name]).max(initial=0) for c in methods for name in PANELS), default=1)
    for i, (axes, name) in enumerate(zip(panels, PANELS)):
        draw_panel(axes, methods, name, highest)
        letter(axes, i)
    panels[0].set_ylabel("share of all predictions")
    if not methods:
        figure.suptitle("no method predicts noise levels")
    save(figure, options, "levels")
