"""Sentences and tables of the report, all made from metrics.json and the program's facts."""

import html
import json
import math
import struct
from pathlib import Path

MAIN = ["stable_fraction/all", "first_unstable/all", "spectrum_error_ensemble/early", "spectrum_error_ensemble/mid",
        "spectrum_error_ensemble/late", "spectrum_error/late", "spectrum_drift/all", "spectrum_distance/all",
        "spectrum_bias_large/late", "spectrum_bias_medium/late", "spectrum_bias_small/late", "energy_ratio/late",
        "enstrophy_ratio/late", "w1_energy/all", "w1_enstrophy/all", "rate_ratio/late", "flatness_ratio/late",
        "flatness_error/late", "mean_wander/late", "injection_ratio/late", "reversed_share/all",
        "mean_field_distance/all", "budget_residual/late", "budget_scatter_ratio/late", "jet_count_ratio/late",
        "jet_strength_ratio/late", "w1/late", "w1_increment/late", "energy_distance/late", "mmd/all",
        "frozen_fraction/all", "autocorrelation_error/all", "autocorrelation_error/early", "autocorrelation_error/late",
        "decorrelation_ratio/all", "nrmse/early", "crps/early", "ensemble_nrmse/early", "spread_skill/early", "correlation_time_0.8/all"]

FEWEST_FOR_INTERVAL = 4  # members; as the program's kFewestForInterval


def number(value):
    return float("nan") if value is None else float(value)


def short(value):
    """Three significant digits, without an exponent where that reads well."""
    if math.isnan(value):
        return "&ndash;"
    if math.isinf(value):
        return "&infin;" if value > 0 else "&minus;&infin;"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "&minus;")
    digits = 2 - math.floor(math.log10(abs(value)))
    if not -4 <= digits <= 6:
        return f"{value:.1e}".replace("-", "&minus;")
    rounded = round(value, digits)
    return (f"{rounded:.{digits}f}" if digits > 0 else f"{rounded:,.0f}").replace("-", "&minus;")


def counted(count, noun):
    """'1 member', '2.5 members'."""
    return f"{short(count)} {noun}" + ("" if count == 1 else "s")


def interval(entry, scale=1):
    low, high = number(entry["low"]), number(entry["high"])
    return "" if math.isnan(low) or math.isnan(high) else f"[{short(scale * low)}, {short(scale * high)}]"


def with_interval(entry):
    return f"{short(number(entry['value']))} {interval(entry)}".rstrip()


def cell(entry, info, scale=1):
    """Table cell of an estimate times scale: never for an event that did not happen, lost for the score of members that were."""
    if entry is None:
        return '<td class="number">&ndash;</td>'
    value = number(entry["value"])
    if math.isinf(value):
        text = "never" if info["better"] == "higher" else '<span class="lost">lost</span>' if entry["lost"] else "&infin;"
        if math.isfinite(number(entry["low"])):
            text += f' <span class="interval">[{short(scale * number(entry["low"]))}, &infin;]</span>'
        return f'<td class="number">{text}</td>'
    lost = f" ({entry['lost']} lost)" if info["statistic"] == "ensemble mean" and entry["lost"] else ""
    return f'<td class="number">{short(scale * value)} <span class="interval">{interval(entry, scale)}</span>{lost}</td>'


def columns(metrics):
    result = [(method["name"], method["results"]) for method in metrics["methods"]]
    if metrics["floor"]:
        result.append(("solver vs solver", metrics["floor"]["results"]))
    return result


def time_unit(metrics):
    """What a time of the metrics is multiplied by for the reader, and the unit that it has then."""
    return (1 / 86400, "days") if metrics["truth"]["time_units"] == "s" else (1, "time units")


def scale_and_unit(metrics, info):
    """What values of a metric are multiplied by where they are shown, and the unit behind its label."""
    scale, time = time_unit(metrics) if info["unit"] == "time" else (1, "")
    return scale, {"time": f" ({time})", "": "", "steps": ""}.get(info["unit"], f" ({info['unit']})")


def table(metrics, infos):
    return table_of(metrics, infos, columns(metrics))


def table_of(metrics, infos, judged):
    """judged: columns, (name, results)."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name, _ in judged)
    rows = []
    for info in infos:
        scale, unit = scale_and_unit(metrics, info)
        ideal = {"near one": "1", "near zero": "0", "lower": "low", "higher": "high"}[info["better"]]
        cells = "".join(cell(results.get(info["id"]), info, scale) for _, results in judged)
        rows.append(f"<tr><td>{html.escape(info['label'] + unit)}</td><td>{info['period']}</td><td>{ideal}</td>"
                    f"{cells}</tr>")
    return f"<table><tr><th>metric</th><th>window</th><th>ideal</th>{head}</tr>{''.join(rows)}</table>"


def distinct(metrics, infos):
    """Without those that repeat another in the same window: a short rollout has fewer than three. What is of other steps than those of
    its window says so in its label."""
    windows = metrics["windows"]
    first = {}
    for info in infos:
        frames = tuple(windows[info["period"]]) if info["period"] in windows else info["period"]
        first.setdefault((info["key"], info["field"], info["label"], frames), info)
    return list(first.values())


def main_metrics(metrics):
    """The main ones, each for all fields."""
    named = [info for name in MAIN for info in metrics["metrics"] if f"{info['key']}/{info['period']}" == name]
    return distinct(metrics, named)


def by_field(metrics, name):
    """(id, field title) of a metric: one entry, or one per field where there are several."""
    fields = [f["name"] for f in metrics["truth"]["fields"]]
    return [(f"{name}/{f}", f" of {f}") for f in fields] if len(fields) > 1 else [(name, "")]


def spectrum_kind(metrics):
    """Of evaluate.spectrum: `paper` is a spectrum of its own for two-layer flow."""
    kind = metrics["config"]["spectrum"]
    return "paper_qg_pv" if kind == "paper" and len(metrics["truth"]["fields"]) > 1 else kind


def metric_tables(metrics):
    """The table of the main metrics and that of all."""
    return table(metrics, main_metrics(metrics)), table(metrics, distinct(metrics, metrics["metrics"]))


def is_refined(method):
    return "weights_refiner_sha256" in method["attributes"]


def is_solver(method):
    return method["cost"]["solver"] is not None


def duration(metrics, steps):
    """Time of so many steps, and its unit."""
    scale, unit = time_unit(metrics)
    return steps * metrics["truth"]["interval"] * scale, unit


def stability_sentence(metrics, method):
    steps = method["steps"]
    failures = [f for f in method["first_unstable_step"] if f is not None]
    members, (time, unit) = counted(method["members"], "member"), duration(metrics, steps)
    factor = metrics["config"]["energy_factor"]
    name = f"<strong>{html.escape(method['name'])}</strong>"
    if not failures:
        return (f"{name}: {'the' if method['members'] == 1 else 'all'} {members} stayed within {factor:g} times the "
                f"solver's range of energy and enstrophy for {steps:,} steps ({time:g} {unit}).")
    stable = method["members"] - len(failures)
    sentence = (f"{name}: {stable} of {members} stayed within {factor:g} times the solver's range of energy "
                f"and enstrophy for {steps:,} steps ({time:g} {unit}); the first left it at step "
                f"{min(failures):,}")
    return sentence + (f", the last at step {max(failures):,}." if stable == 0 else ".")


FEWEST_WINDOWS = 5  # whose errors show how much they scatter


def errors_by_window(metrics, method, metric):
    """Errors of a method's mean spectrum in each window, of the field that the metric is of."""
    *_, last = metric.split("/")
    fields = [field["name"] for field in metrics["truth"]["fields"]]
    windows = method["spectrum_error_by_window"][last if last in fields else fields[0]]
    return [number(window["ensemble"]["value"]) for window in windows]


def other_windows_of_solvers(metrics, metric):
    """Errors of the mean spectrum of solver runs in all windows but the last, sorted; empty where they are too few."""
    errors = sorted(errors_by_window(metrics, metrics["floor"], metric)[:-1])
    return errors if len(errors) >= FEWEST_WINDOWS else []


def reach_of_solvers(metrics, metric):
    """How far the mean spectrum of solver runs gets from truth's in a window that is not judged: the upper end of the interval that holds
    as many windows as `confidence` says, of up to forty the largest. NaN for few windows. (A bootstrap interval is no such limit:
    resampling makes errors of means larger.)"""
    errors = other_windows_of_solvers(metrics, metric)
    return errors[math.ceil((1 + metrics["config"]["confidence"]) / 2 * (len(errors) - 1))] if errors else math.nan


def spectrum_sentences(metrics, method):
    sentences = [spectrum_sentence(metrics, method, *of) for of in by_field(metrics, "spectrum_error_ensemble/late")]
    return " ".join(dict.fromkeys(sentences))  # of no field where no member is left


def spectrum_sentence(metrics, method, metric, of):
    entry = method["results"][metric]
    value = number(entry["value"])
    first, last = metrics["windows"]["late"]
    where = f"In the last window (steps {first:,} to {last:,})"
    if math.isinf(value):
        return f"{where} none of its members has a finite frame."
    factor = f"a typical factor of {math.exp(value):.2f}" if value < 4 else "many orders of magnitude"
    sentence = f"{where} its spectrum{of} is off by {with_interval(entry)}, that is {factor}"
    if entry["lost"]:
        sentence += f", of its members as far as they are finite ({entry['lost']} of {method['members']} lost)"
    floor = metrics["floor"]["results"][metric] if metrics["floor"] else None
    if floor is None:
        return sentence + "."
    sentence += f"; independent solver runs differ by {with_interval(floor)}"
    others = other_windows_of_solvers(metrics, metric)
    as_much = sum(error >= value for error in others)
    if entry["lost"] == 0 and value <= reach_of_solvers(metrics, metric):
        return sentence + f". In {as_much} of {len(others)} other windows they differ as much, so that it cannot be told apart."
    if entry["lost"] == 0 and not others and value <= number(floor["high"]):
        return sentence + ". By so few windows it cannot be told apart."
    return sentence + f". That is {short(value / number(floor['value']))} times the difference between solver runs."


def comparison_sentences(metrics):
    """How often refined methods are nearer to the solver than plain ones, with intervals."""
    refined = {m["name"] for m in metrics["methods"] if is_refined(m)}
    solvers = {m["name"] for m in metrics["methods"] if is_solver(m)}
    methods = {m["name"]: m for m in metrics["methods"]}
    sentences = []
    for pair in metrics["paired"]:
        if (pair["a"] in refined) == (pair["b"] in refined) or solvers & {pair["a"], pair["b"]}:
            continue
        for metric, of in by_field(metrics, "spectrum_error/late"):
            share = pair["results"][metric]["better_share"]
            value, low, high = (number(share[k]) for k in ("value", "low", "high"))
            name, other = pair["a"], pair["b"]
            if name not in refined:
                name, other, value, low, high = other, name, 1 - value, 1 - high, 1 - low
            members = metrics["truth"]["members"]
            lost = [methods[each]["results"][metric]["lost"] for each in (name, other)]
            if min(lost) == members:  # nothing is left to compare
                continue
            ties = "; one that both lose counts half" if min(lost) > 0 else ""
            sentences.append(
                f"At the end of the rollout the refined <strong>{html.escape(name)}</strong> is nearer to the solver's "
                f"spectrum{of} than <strong>{html.escape(other)}</strong> for {short(value * members)} of "
                f"{counted(members, 'initial condition')} ({100 * metrics['config']['confidence']:g} % interval of the share: "
                f"{100 * low:.0f} to {100 * high:.0f} %{ties}).")
    return sentences


def level_sentence(method):
    """How often the noise heads saw anything; empty for methods that predict no levels."""
    past, present = method["levels"]["past"], method["levels"]["present"]
    total, zero = sum(past) + sum(present), sum(past[:1]) + sum(present[:1])
    if total == 0:
        return ""
    if zero == total:
        return (f"Its noise heads said level 0 in all {total} predictions: what refinement there was is that of a fixed level, "
                "not of levels that it found itself.")
    return f"Its noise heads said a level above 0 in {total - zero} of {total} predictions."


def summary(metrics, facts, cost):
    """The report's first paragraphs; cost: those on cost."""
    items = [f"<p>{stability_sentence(metrics, m)} {spectrum_sentences(metrics, m)} {level_sentence(m)}</p>"
             for m in metrics["methods"]]
    items += [f"<p>{s}</p>" for s in comparison_sentences(metrics)]
    items.append(f"<p>{flow_sentence(metrics)}</p>")
    items.append(cost)
    shipped = [m["name"] for m in facts["models"] if m["shipped"]]
    if shipped:
        items.append(f"<p>The weights of {html.escape(', '.join(shipped))} came with the software and were not "
                     f"trained in this run (see below).</p>")
    return "".join(items)


SHORT_TERM = ("nrmse", "correlation_time", "crps", "ensemble_nrmse", "spread_skill")  # how keys of such metrics begin


def is_short_term(info):
    return info["key"].startswith(SHORT_TERM)


def ceilings(metrics):
    """Columns of forecasts that know nothing of the dynamics."""
    return [(name, ceiling["results"]) for name, ceiling in metrics["ceilings"].items()]


def ceiling_table(metrics):
    """The short term beside forecasts that know nothing of the dynamics: what a useless forecast scores."""
    judged = columns(metrics)
    if metrics["solver_ensemble"]:
        judged.append(("solver's ensemble", metrics["solver_ensemble"]["results"]))
    judged += [(name, results) for name, results in ceilings(metrics) if name != "shuffled"]
    shown = {name for _, results in judged for name in results}
    return (f'<p class="small">Ceilings: <em>climatology</em> forecasts the solver\'s mean field (in CRPS, its distribution at each point), <em>persistence</em> the '
            f"initial condition; <em>solver vs solver</em> are unrelated states. <em>Solver's ensemble</em>: the solver that made the "
            f"data, from the same perturbed frames as the methods.</p>"
            + table_of(metrics, [info for info in metrics["metrics"] if is_short_term(info) and info["id"] in shown], judged))


def long_ceiling_table(metrics):
    """Statistics of forecasts that know nothing of the dynamics, beside those of solver runs; empty for evaluations of versions that did
    not measure it."""
    infos = [info for info in main_metrics(metrics) if not is_short_term(info)]
    judged = ceilings(metrics)
    if not any(info["id"] in results for info in infos for _, results in judged):
        return ""
    if metrics["floor"]:
        judged.insert(0, ("solver vs solver", metrics["floor"]["results"]))
    return ('<p class="small">What the metrics give to forecasts without dynamics, as long as the truth: <em>climatology</em>, the mean field of the '
            "solver's other runs at every time; <em>persistence</em>, the initial condition; <em>shuffled</em>, in every window the frames of another "
            "solver run in random order: single frames as they should be, and no motion.</p>"
            + table_of(metrics, infos, judged))


def flow_sentence(metrics):
    """What the solver's energy budget and jets are, or why they are not given."""
    budget, jets = metrics["flow"]["budget"], metrics["flow"]["jets"]
    if "not_available" in budget:
        sentence = f"The energy budget is not available: {html.escape(budget['not_available'])}."
    else:
        sentence = (f"Residual of the solver's own energy budget from these frames: {short(budget['residual'])} times the "
                    f"injection in the mean, {short(budget['residual_rms'])} times it root mean square.")
    if "count" in jets:
        sentence += (f" The solver has {short(jets['count'])} zonal jets of {short(jets['strength'])} m/s (root mean square) in "
                     "its upper layer.")
    elif len(metrics["truth"]["fields"]) > 1:
        sentence += f" Zonal jets are not available: {html.escape(jets['not_available'])}."
    return sentence


def difference_cell(entry, better, a, b, scale):
    """Content of the cell for a - b, times scale: which of the two is infinite where the difference is."""
    value = number(entry["value"])
    if math.isnan(value):
        return "both infinite or undefined"
    if math.isinf(value):
        return f"{a if value > 0 else b} " + ("never" if better == "higher" else "<span class='lost'>lost</span>")
    return f"{short(scale * value)} <span class='interval'>{interval(entry, scale)}</span>"


def paired_table(metrics, shown=None):
    """Differences between each two methods in the metrics of these ids; default: the main ones."""
    if not metrics["paired"]:
        return '<p class="small">One method, or methods with different members: nothing to compare.</p>'
    by_id = {info["id"]: info for info in metrics["metrics"]}
    shown = shown or [info["id"] for info in main_metrics(metrics)]
    parts = ['<p class="small">Both methods start from the same initial conditions and share the bootstrap draws. '
             "<em>Nearer</em>: share of initial conditions in which the first method is nearer to the ideal; a lost "
             "member counts as infinitely far.</p>"]
    for pair in metrics["paired"]:
        a, b = html.escape(pair["a"]), html.escape(pair["b"])
        rows = []
        for metric in shown:
            entry = pair["results"].get(metric)
            if entry is None:
                continue
            share = entry["better_share"]
            scale, unit = scale_and_unit(metrics, by_id[metric])
            difference = difference_cell(entry, by_id[metric]["better"], a, b, scale)
            nearer = ("&ndash;" if share["value"] is None else
                      f"{100 * number(share['value']):.0f} % <span class='interval'>"
                      f"[{100 * number(share['low']):.0f}, {100 * number(share['high']):.0f}]</span>")
            rows.append(f"<tr><td>{html.escape(by_id[metric]['label'] + unit)}</td><td>{by_id[metric]['period']}</td>"
                        f"<td class='number'>{difference}</td><td class='number'>{nearer}</td></tr>")
        parts.append(f"<div class='scroll'><table><tr><th>metric</th><th>window</th><th>{a} &minus; {b}</th>"
                     f"<th>{a} nearer</th></tr>{''.join(rows)}</table></div>")
    return "".join(parts)


def notes(metrics, facts):
    items = []
    for model in facts["models"]:
        if model["shipped"]:
            items.append(f"The weights of <strong>{html.escape(model['name'])}</strong> were not trained in this run: "
                         f"they came with the software (<code>{html.escape(model['weights'])}</code>, where the model "
                         f"card tells how they were made). To train them here: "
                         f"<code>{html.escape(model['retrain_command'])}</code>")
    items += [html.escape(note) for note in facts["notes"]]
    if metrics is None:
        return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
    truth = metrics["truth"]
    items.append(f"{counted(truth['members'], 'initial condition')} and one training run per model: the intervals cover the "
                 f"choice of initial conditions, not that of the training seed.")
    if not metrics["floor"]:
        items.append("No independent solver runs: the scores lack the level that a perfect emulator would reach.")
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def parameter_count(folder):
    """Values in ema.safetensors, from its header."""
    file = folder / "ema.safetensors"
    if not file.exists():
        return None
    with file.open("rb") as stream:
        header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def model_table(facts, run):
    rows = []
    for model in facts["models"]:
        folder = Path(model["weights"]) if model["weights"] else run / "models" / model["name"]
        count = parameter_count(folder)
        origin = "shipped with the software" if model["shipped"] else "trained in this run"
        rows.append(f"<tr><td>{html.escape(model['name'])}</td><td>{html.escape(model['kind'])}</td>"
                    f"<td>{f'{count:,}' if count else '&ndash;'}</td><td>{origin}</td></tr>")
    return f"<table><tr><th>model</th><th>kind</th><th>parameters</th><th>weights</th></tr>{''.join(rows)}</table>"


def stage_table(facts):
    rows = []
    for stage in facts["stages"]:
        seconds = "finished before" if stage["seconds"] is None else f"{stage['seconds']:.1f} s"
        rows.append(f"<tr><td>{html.escape(stage['name'])}</td><td>{seconds}</td></tr>")
    return f"<table><tr><th>stage</th><th>wall clock</th></tr>{''.join(rows)}</table>" if rows else ""
