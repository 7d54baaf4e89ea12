"""Autocorrelation C(tau) and rate of change R(t) of the first and of the last steps, as the SNS paper's Fig. 5."""

from common import by_field, letter, line, nan_mean, np, plt, remark, save, shared_legend


def draw_correlation(axes, evaluation, end):
    for curves in (evaluation.truth, *evaluation.methods):
        values = curves[f"autocorrelation_{end}"]
        if not np.isfinite(values).any():
            continue
        lag = np.arange(values.shape[1]) * evaluation.interval * evaluation.time_scale
        line(axes, lag, values, curves, lw=2.2 if curves is evaluation.truth else 1.6)
        axes.set_xlim(0, lag[-1])
    axes.axhline(0, color="#999999", lw=0.6, zorder=0)
    axes.set_xlabel(rf"lag $\tau${evaluation.time_unit}")


def relative_rate(curves, evaluation, end):
    """R(t) [member][step] over the solver's mean."""
    return curves[f"rate_{end}"] / evaluation.info["rate"]


def draw_rate(axes, evaluation, end, low, high):
    """Mean over the members that are finite; what the panel does not show is named in it."""
    hidden = []
    for curves in (evaluation.truth, *evaluation.methods):
        values = relative_rate(curves, evaluation, end)
        first, last = curves["temporal_frames"][("begin", "end").index(end)]
        mean = nan_mean(values)
        if not np.isfinite(mean).any():
            hidden.append(f"{curves.label}: not finite")
            continue
        if not ((mean > low) & (mean < high)).any():
            hidden.append(f"{curves.label}: off the panel, {np.nanmedian(mean):.2g}")
        line(axes, np.arange(first + 1, last + 1), values, curves, lw=1.8 if curves is evaluation.truth else 1.3)
        axes.set_xlim(first, last)
    axes.set(yscale="log", xlabel="step", ylim=(low, high))
    axes.set_yticks([v for v in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= v <= high])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.xaxis.get_major_locator().set_params(integer=True)
    remark(axes, hidden)


def rate_limits(evaluation):
    """One range for both windows that shows the solver and whatever is within a factor of 20 of its mean."""
    values = np.concatenate([relative_rate(curves, evaluation, end).ravel() for end in ("begin", "end")
                             for curves in (evaluation.truth, *evaluation.methods)])
    with np.errstate(invalid="ignore"):
        shown = values[(values > 0.05) & (values < 20)]
    return shown.min() / 1.3, shown.max() * 1.5


def draw_temporal(evaluation):
    figure, panels = plt.subplots(2, 2, figsize=(7.6, 6.0), layout="constrained", sharey="row")
    spans = evaluation.truth["temporal_frames"]
    for column, (end, (first, last)) in enumerate(zip(("begin", "end"), spans)):
        draw_correlation(panels[0, column], evaluation, end)
        draw_rate(panels[1, column], evaluation, end, *rate_limits(evaluation))
        panels[0, column].set_title(f"steps {first} to {last}")
    panels[0, 0].set_ylabel(r"autocorrelation $C(\tau)$")
    panels[1, 0].set_ylabel("rate of change $R(t)$ / solver's mean")
    shared_legend(figure, panels.flat, 4)
    for i, axes in enumerate(panels.flat):
        letter(axes, i)
    if evaluation.several:
        figure.suptitle(evaluation.title)
    return figure


def temporal(fields, options):
    for field in fields:
        save(draw_temporal(field), options, by_field("temporal", field))
