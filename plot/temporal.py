"""Autocorrelation C(tau) and rate of change R(t) of the first and of the last steps, as the SNS paper's Fig. 5."""

from common import by_field, letter, line, nan_mean, np, plt, save


def draw_correlation(axes, evaluation, end):
    for curves in (evaluation.truth, *evaluation.methods):
        values = curves[f"autocorrelation_{end}"]
        if not np.isfinite(values).any():
            continue
        lag = np.arange(values.shape[1]) * evaluation.interval * evaluation.time_scale
        line(axes, lag, values, curves, lw=2.2 if curves is evaluation.truth else 1.6)
        axes.set_xlim(0, lag[-1])
    axes.axhline(0, color="#999999", lw=0.6, zorder=0)
    axes.set_xlabel(rf"lag $\tau$ ({evaluation.time_unit})")


def draw_rate(axes, evaluation, end):
    """Mean over members of R(t) over the solver's mean rate: drawn while one is left."""
    gone = []
    for curves in (evaluation.truth, *evaluation.methods):
        values = curves[f"rate_{end}"] / evaluation.info["rate"]
        first, last = curves["temporal_frames"][("begin", "end").index(end)]
        if not np.isfinite(values).any():
            gone.append(curves.label)
            continue
        line(axes, np.arange(first + 1, last + 1), values, curves, nan_mean, lw=1.8 if curves is evaluation.truth else 1.3)
        axes.set_xlim(first, last)
    axes.set(yscale="log", xlabel="step")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if gone:
        axes.text(0.98, 0.96, f"{', '.join(gone)}: not finite", transform=axes.transAxes, ha="right", va="top",
                  color="#666666", fontsize=8)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")


def limit_rates(panels, evaluation):
    """One range for both windows that shows the solver and whatever is within a factor of 20 of it."""
    values = [curves[f"rate_{end}"] / evaluation.info["rate"] for curves in (evaluation.truth, *evaluation.methods)
              for end in ("begin", "end")]
    with np.errstate(invalid="ignore"):
        shown = np.concatenate([v[(v > 0.05) & (v < 20)] for v in values])
    low, high = shown.min() / 1.3, shown.max() * 1.3
    ticks = [v for v in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= v <= high]
    for axes in panels:
        axes.set_ylim(low, high)
        axes.set_yticks(ticks)


def draw_temporal(evaluation):
    figure, panels = plt.subplots(2, 2, figsize=(7.6, 5.6), layout="constrained", sharey="row")
    spans = evaluation.truth["temporal_frames"]
    for column, (end, (first, last)) in enumerate(zip(("begin", "end"), spans)):
        draw_correlation(panels[0, column], evaluation, end)
        draw_rate(panels[1, column], evaluation, end)
        panels[0, column].set_title(f"steps {first} to {last}")
    panels[0, 0].set_ylabel(r"autocorrelation $C(\tau)$")
    panels[1, 0].set_ylabel("rate of change $R(t)$ / solver's mean")
    limit_rates(panels[1], evaluation)
    panels[0, 0].legend()
    for i, axes in enumerate(panels.flat):
        letter(axes, i)
    if evaluation.several:
        figure.suptitle(evaluation.title)
    return figure


def temporal(fields, options):
    for field in fields:
        save(draw_temporal(field), options, by_field("temporal", field))
