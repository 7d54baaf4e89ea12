"""Temporal statistics of each method beside the solver's, and how its members fare over time."""

from functools import partial

from common import SOLVER, by_field, letter, line, nan_mean, np, plt, remark, save, shared_legend, typical


def draw_autocorrelation(axes, evaluation):
    lag = evaluation.root["lag"][...] * evaluation.time_scale
    for curves in (evaluation.truth, *evaluation.methods):
        whole = (curves["window_finite"] == 1).all(axis=1)[:, None]
        line(axes, lag, np.where(whole, curves["autocorrelation"], np.nan), curves, lw=2.2 if curves is evaluation.truth else 1.6)
    axes.axhline(0, color="#999999", lw=0.6, zorder=0)
    axes.set(xlabel=rf"lag $\tau${evaluation.time_unit}", title=r"autocorrelation $C(\tau)$", xlim=(0, lag[-1]))


def draw_series(axes, evaluation, name, title, truth_scale):
    """A positive quantity over time, as a ratio to truth's mean."""
    for curves in (evaluation.truth, *evaluation.methods):
        values = curves[name] / truth_scale
        line(axes, curves["series_time"] * evaluation.time_scale, values, curves, typical, lw=1.3)
    axes.set(yscale="log", xlabel=f"time{evaluation.time_unit}", title=title)
    low, high = np.nanmin(evaluation.truth[name]), np.nanmax(evaluation.truth[name])
    axes.set_ylim(low / truth_scale / 4, high / truth_scale * 6)
    axes.set_xlim(0, evaluation.time_scale * max(c["series_time"][-1] for c in evaluation.methods))
    bottom, top = axes.get_ylim()
    axes.set_yticks([v for v in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if bottom <= v <= top])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def draw_limits(axes, evaluation, name):
    """The range beyond which a member counts as unstable."""
    truth, factor = evaluation.info, evaluation.metrics["config"]["energy_factor"]
    low, high = truth[f"{name}_range"]
    for value in (low / factor, high * factor):
        axes.axhline(value / truth[name], color="#999999", lw=0.8, ls=":", zorder=0)


def draw_pdf(axes, evaluation):
    x = evaluation.root["pdf_value"][...]
    reference = evaluation.file["truth_pdf"][...]
    axes.plot(x, reference, color=SOLVER, lw=2.2, label="solver")
    for curves in evaluation.methods:
        pdf = nan_mean(np.where(curves["window_finite"][:, -1:] == 1, curves["pdf_late"], np.nan))
        axes.plot(x, pdf, color=curves.color, ls=curves.dash, label=curves.label)
    occupied = x[reference > 0]
    reach = 1.25 * max(abs(occupied[0]), abs(occupied[-1]))
    axes.set(yscale="log", xlabel=f"{evaluation.title} / std", title="probability density of pixels, late window",
             xlim=(-reach, reach))
    axes.set_ylim(reference[reference > 0].min() / 3, reference.max() * 3)


def draw_paired(axes, evaluation):
    for curves in evaluation.methods:
        line(axes, curves["paired_time"] * evaluation.time_scale, curves["paired_correlation"], curves, partial(typical, lost=-np.inf))
    if evaluation.floor is not None:
        values = evaluation.floor["paired_correlation"]
        axes.plot(evaluation.floor["paired_time"] * evaluation.time_scale, nan_mean(values), color=SOLVER, lw=1, ls="--",
                  label="unrelated solver runs")
    for name, style in (("persistence", ":"), ("climatology", "-.")):
        ceiling = evaluation.file["ceiling"][name]
        axes.plot(ceiling["paired_time"][...] * evaluation.time_scale, nan_mean(ceiling["paired_correlation"][...]),
                  color="#666666", lw=1, ls=style, label=name)
    for threshold in evaluation.metrics["config"]["correlation_thresholds"]:
        axes.axhline(threshold, color="#cccccc", lw=0.6, zorder=0)
    end = evaluation.time_scale * max(c["paired_time"][-1] for c in evaluation.methods)
    axes.set(xlabel=f"time{evaluation.time_unit}", title="correlation with the solver, same initial state",
             ylim=(-0.35, 1.03), xlim=(0, end))


FEW_WINDOWS = 12  # of more, intervals would hide each other: each window is a thin line, the median of neighbours a thick one


def running_median(values, reach):
    """Median over up to `reach` windows before and after each."""
    return np.array([np.median(values[max(0, i - reach):i + reach + 1]) for i in range(len(values))])


def draw_error(axes, evaluation):
    if evaluation.floor is not None:
        floor = evaluation.floor["spectrum_error_ensemble"]
        middle = evaluation.floor["window_frames"].mean(axis=1)
        axes.fill_between(middle, floor[:, 1], floor[:, 2], color=SOLVER, alpha=0.15, lw=0)
        shown = floor[:, 0] if len(middle) <= FEW_WINDOWS else running_median(floor[:, 0], len(middle) // FEW_WINDOWS)
        axes.plot(middle, shown, color=SOLVER, lw=1.2, ls="--", label="solver against solver")
    lost, endless = [], []
    for i, curves in enumerate(evaluation.methods):
        errors = curves["spectrum_error_ensemble"]
        middle = curves["window_frames"].mean(axis=1)
        shift = (i - (len(evaluation.methods) - 1) / 2) * 0.012 * middle[-1]
        finite = np.isfinite(errors[:, 0])
        if not finite.all():
            lost.append(f"{curves.label}: none finite from step {curves['window_frames'][~finite][0, 0]:.0f}")
        if len(middle) <= FEW_WINDOWS:
            at, (value, low, high) = (middle + shift)[finite], errors[finite].T
            axes.plot(at, value, color=curves.color, ls=curves.dash, marker="o", ms=4, lw=1.3, label=curves.label)
            # An interval need not hold its value. NaN: few members have none, and no bar.
            closed = np.isfinite(low) & np.isfinite(high)
            axes.vlines(at[closed], low[closed], high[closed], color=curves.color, lw=1.3)
            for end in (low, high):
                axes.plot(at[closed], end[closed], color=curves.color, ls="", marker="_", ms=5)
            above = np.isposinf(high)
            endless.append((at[above], low[above], curves.color))
        else:
            axes.plot(middle[finite], errors[finite, 0], color=curves.color, lw=0.7, alpha=0.3)
            axes.plot(middle[finite], running_median(errors[finite, 0], len(middle) // FEW_WINDOWS), color=curves.color,
                      ls=curves.dash, lw=1.8, label=curves.label)
    axes.locator_params(axis="x", nbins=5)  # numbers of steps are long
    axes.set(yscale="log")
    limits = axes.get_ylim()
    for at, low, color in endless:  # through the top: members without end among them
        axes.vlines(at, low, 1e3 * limits[1], color=color, lw=1.3)
    axes.set(ylim=limits, xlabel="step", ylabel=r"mean over $k$ of $|\ln E/E_{\rm solver}|$",
             title="spectrum error by window" + (f", {evaluation.part}" if evaluation.several else ""))
    # Room above the curves for what is said of them.
    low, high = axes.get_ylim()
    axes.set_ylim(top=high * (high / low) ** (0.08 * len(lost)))
    remark(axes, lost)


def draw_survival(axes, evaluation):
    for i, curves in enumerate(evaluation.methods):
        entry = next(m for m in evaluation.metrics["methods"] if m["name"] == curves.label)
        failures = np.array([step for step in entry["first_unstable_step"] if step is not None], dtype=float)
        steps = np.arange(curves.steps + 1)
        alive = curves.members - (np.sort(failures)[:, None] <= steps[None]).sum(axis=0)
        lift = min(0.006 * curves.members, 0.5 / len(evaluation.methods)) * i  # none hides another, and all of it is less than a member
        axes.step(steps, alive + lift, where="post", color=curves.color, ls=curves.dash, lw=2,
                  label=curves.label)
    most = max(c.members for c in evaluation.methods)
    axes.locator_params(axis="x", nbins=5)  # numbers of steps are long
    axes.set(xlabel="step", title="members within the solver's energy range",
             ylim=(-0.025 * most, most * (1.02 + 0.006 * len(evaluation.methods))), xlim=(0, max(c.steps for c in evaluation.methods)))
    axes.yaxis.get_major_locator().set_params(integer=True)


HEADS = {"past_levels": ("--", "previous frame"), "present_levels": ("-", "new frame")}


def draw_levels(axes, evaluation):
    shown = [c for c in evaluation.methods if c["past_levels"].sum() + c["present_levels"].sum() > 0]
    if not shown:
        axes.text(0.5, 0.5, "no method predicts noise levels", transform=axes.transAxes, ha="center", color="#666666")
        axes.set_axis_off()
        return
    if all(c[name][1:].sum() == 0 for c in shown for name in ("past_levels", "present_levels")):
        axes.text(0.5, 0.5, "the noise heads predicted\nlevel 0 in every frame", transform=axes.transAxes, ha="center", va="center",
                  color="#666666")
        axes.set_axis_off()
        return
    highest, rarest = 1, 1
    for curves in shown:
        for name, (style, _) in HEADS.items():
            counts = curves[name]
            if counts.sum() == 0:
                continue  # a thermalizer has no head for the previous frame
            share = counts / counts.sum()
            highest = max(highest, np.flatnonzero(counts).max(initial=0))
            rarest = min(rarest, share[share > 0].min(initial=1))
            axes.stairs(np.append(share, 0), np.arange(len(share) + 2) - 0.5, color=curves.color, ls=style, lw=1.8)
    axes.set(yscale="log", xlabel="predicted level", ylabel="share of predictions", title="noise levels predicted by the heads",
             xlim=(-0.7, highest + 0.7), ylim=(min(rarest / 2, 0.05), 5))
    axes.minorticks_off()
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend([plt.Line2D([], [], color="#666666", ls=style, lw=1.8) for style, _ in HEADS.values()],
                [words for _, words in HEADS.values()], loc="upper right")


def draw_dynamics(evaluation):
    truth = evaluation.info
    figure, panels = plt.subplots(2, 3, figsize=(11, 6.6), layout="constrained")
    draw_autocorrelation(panels[0, 0], evaluation)
    draw_series(panels[0, 1], evaluation, "rate", "rate of change $R(t)$ / solver's mean", truth["rate"])
    draw_pdf(panels[0, 2], evaluation)
    draw_paired(panels[1, 0], evaluation)
    draw_series(panels[1, 1], evaluation, "energy", "energy / solver's mean", truth["energy"])
    draw_limits(panels[1, 1], evaluation, "energy")
    draw_series(panels[1, 2], evaluation, "enstrophy", "enstrophy / solver's mean", truth["enstrophy"])
    draw_limits(panels[1, 2], evaluation, "enstrophy")
    for i, axes in enumerate(panels.flat):
        letter(axes, i)
    shared_legend(figure, panels.flat)
    if evaluation.several:
        figure.suptitle(evaluation.title)
    return figure


def dynamics(fields, options):
    for field in fields:
        save(draw_dynamics(field), options, by_field("dynamics", field))


def stability(fields, options):
    figure, panels = plt.subplots(1, len(fields) + 2, figsize=(3.67 * (len(fields) + 2), 3.6), layout="constrained")
    for axes, field in zip(panels, fields):
        draw_error(axes, field)
    draw_survival(panels[-2], fields[0])
    draw_levels(panels[-1], fields[0])
    for i, axes in enumerate(panels.flat):
        letter(axes, i)
    shared_legend(figure, panels, 8)
    save(figure, options, "stability")
