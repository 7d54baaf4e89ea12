"""The short term: error, and of ensembles CRPS and spread over skill, between the floor of none and the ceilings of
forecasts that know nothing of the dynamics."""

import math

from common import SOLVER, by_field, letter, line, nan_mean, np, plt, save, shared_legend, typical

CEILINGS = {"persistence": ":", "climatology": "-."}


def draw_ceilings(axes, evaluation, name):
    for ceiling, style in CEILINGS.items():
        group = evaluation.file["ceiling"][ceiling]
        if name in group:
            values = nan_mean(group[name][...])
            axes.plot(np.arange(len(values)) * evaluation.interval * evaluation.time_scale, values, color="#666666", lw=1,
                      ls=style, label=ceiling)


def draw_error(axes, evaluation, end=math.inf):
    for curves in evaluation.methods:
        line(axes, curves["paired_time"] * evaluation.time_scale, curves["paired_nrmse"], curves, typical)
    if evaluation.floor is not None:
        axes.plot(evaluation.floor["paired_time"] * evaluation.time_scale, nan_mean(evaluation.floor["paired_nrmse"]),
                  color=SOLVER, lw=1, ls="--", label="unrelated solver runs")
    draw_ceilings(axes, evaluation, "paired_nrmse")
    end = min(end, evaluation.time_scale * max(c["paired_time"][-1] for c in evaluation.methods))
    axes.set(title="nRMSE", xlim=(0, end), ylim=(0, 2))


def after_start(evaluation, values):
    """Times and values of frames 1, 2, ..: the frame that a forecast is given says nothing of it."""
    return np.arange(1, len(values)) * evaluation.interval * evaluation.time_scale, values[1:]


def draw_crps(axes, evaluation, shown, end):
    for curves in shown:
        axes.plot(*after_start(evaluation, typical(curves["ensemble_crps"])), color=curves.color, ls=curves.dash, label=curves.label)
    draw_ceilings(axes, evaluation, "ensemble_crps")
    axes.set(title="fair CRPS / std", xlim=(0, end), yscale="log", ylim=(1e-3, 2))


def draw_spread(axes, evaluation, shown, end):
    """Ratio of means over initial conditions, as in the table."""
    for curves in shown:
        with np.errstate(all="ignore"):
            ratio = np.sqrt((curves["ensemble_spread"] ** 2).mean(axis=0) / (curves["ensemble_error"] ** 2).mean(axis=0))
        axes.plot(*after_start(evaluation, ratio), color=curves.color, ls=curves.dash, label=curves.label)
    axes.axhline(1, color="#999999", lw=0.8, zorder=0)
    axes.set(title="spread / skill", xlim=(0, end), yscale="log", ylim=(1e-3, 3))


class SolverEnsemble:
    """The ensemble of the solver that made the data, drawn like a method's."""

    def __init__(self, group):
        self._group, self.color, self.dash, self.label = group, SOLVER, "-", "solver's ensemble"

    def __getitem__(self, name):
        return self._group[name][...]


def draw_forecast(evaluation):
    shown = [curves for curves in evaluation.methods if "ensemble_crps" in curves]
    if "solver_ensemble" in evaluation.file:
        shown.append(SolverEnsemble(evaluation.file["solver_ensemble"]))
    figure, panels = plt.subplots(1, 3 if shown else 1, figsize=(11 if shown else 6, 3.8), layout="constrained", squeeze=False)
    if not shown:
        draw_error(panels[0, 0], evaluation)
    else:
        end = evaluation.time_scale * evaluation.interval * (max(c["ensemble_crps"].shape[1] for c in shown) - 1)
        draw_error(panels[0, 0], evaluation, 2 * end)
        draw_crps(panels[0, 1], evaluation, shown, end)
        draw_spread(panels[0, 2], evaluation, shown, end)
    for i, axes in enumerate(panels.flat):
        axes.set_xlabel(f"time{evaluation.time_unit}")
        letter(axes, i)
    shared_legend(figure, panels.flat)
    if evaluation.several:
        figure.suptitle(evaluation.title)
    return figure


def forecast(fields, options):
    for field in fields:
        save(draw_forecast(field), options, by_field("forecast", field))
