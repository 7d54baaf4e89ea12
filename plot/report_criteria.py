"""What a long rollout has to show, method by method: whether members stay, and whether their spectra stay right."""

import html
import math

from report_text import by_field, counted, errors_by_window, interval, is_refined, is_solver, number, reach_of_solvers, short

RATIO = 1.5  # largest spectrum error beside that of independent solver runs which counts as theirs
FEWEST_AT_THE_END = 5  # windows whose mean says more than the last one alone
WORSE = 5  # smallest from which on a method has left the attractor


def verdict(met, text):
    """Table cell; met: None where the intervals leave it open."""
    mark = {True: "&#10003;", False: "&#10007;", None: "?"}[met]
    return f"<td class='number'>{mark} {text}</td>"


def ratio(metrics, results, name):
    """A score over that of independent solver runs: the largest over fields. NaN where it has none."""
    floor = metrics["floor"]["results"]
    ratios = []
    for metric, _ in by_field(metrics, name):
        value, of_solvers = number(results[metric]["value"]), number(floor[metric]["value"])
        ratios.append(value / of_solvers if of_solvers else math.nan)
    return math.nan if any(map(math.isnan, ratios)) else max(ratios)


def as_good(metrics, results, name):
    """Whether the score is at most RATIO times that of solver runs; None where the scatter of both leaves it open."""
    if ratio(metrics, results, name) <= RATIO:
        return True
    return False if any(surely_worse(metrics, results[metric], metric) for metric, _ in by_field(metrics, name)) else None


def surely_worse(metrics, entry, metric):
    """Whether a score is more than RATIO times what solver runs may score."""
    value, low, floor = number(entry["value"]), number(entry["low"]), metrics["floor"]["results"][metric]
    if math.isinf(value):
        return True
    if metric.startswith("spectrum_error_ensemble/") and (reach := reach_of_solvers(metrics, metric)) > 0:
        return value > RATIO * reach
    high = number(floor["high"])  # low and high: NaN of few members
    return low > RATIO * (number(floor["value"]) if math.isnan(high) else high)


def end(by_window):
    """Those of the last third; none where they are few."""
    windows = by_window[len(by_window) - len(by_window) // 3:]
    return windows if len(windows) >= FEWEST_AT_THE_END else []


def end_cell(metrics, method):
    """What the last window says with the scatter of one, said by many: their mean error over that of solver runs."""
    ratios = []
    for metric, _ in by_field(metrics, "spectrum_error_ensemble/late"):
        of_method, of_solvers = (sum(end(errors_by_window(metrics, each, metric))) for each in (method, metrics["floor"]))
        ratios.append(of_method / of_solvers if of_solvers else math.nan)
    value = math.nan if any(map(math.isnan, ratios)) else max(ratios)
    text = "&ndash;" if math.isnan(value) else "lost" if math.isinf(value) else short(value)
    missing = max((window["lost"] for windows in method["spectrum_error_by_window"].values() for window in end(windows)), default=0)
    left = f" ({missing} lost)" if missing and math.isfinite(value) else ""
    return f"<td class='number'>{text}{left}</td>"


def ratio_cell(metrics, results, name):
    value = ratio(metrics, results, name)
    return verdict(as_good(metrics, results, name), "lost" if math.isinf(value) else short(value))


def lost(method):
    return sum(step is not None for step in method["first_unstable_step"])


def stays_cell(method):
    return verdict(lost(method) == 0, f"{method['members'] - lost(method)} of {method['members']}")


def drift_entries(metrics, results):
    return [results[metric] for metric, _ in by_field(metrics, "spectrum_drift/all")]


def does_not_drift(metrics, results):
    """Whether every interval of the drift holds zero; None where there are none, as for a single window, or where that of solver runs, which do
    not drift, does not hold it either."""
    holds = [[None if math.isnan(low) or math.isnan(high) else low <= 0 <= high
              for low, high in ((number(entry["low"]), number(entry["high"])) for entry in drift_entries(metrics, each))]
             for each in (results, metrics["floor"]["results"])]
    if None in holds[0]:
        return None
    failed = [of_solvers for ours, of_solvers in zip(*holds) if not ours]
    if not failed:
        return True
    return None if all(of_solvers is False for of_solvers in failed) else False


def drift_cell(metrics, results):
    entries = drift_entries(metrics, results)
    if any(math.isinf(number(entry["value"])) for entry in entries):
        return verdict(False, "lost")
    return verdict(does_not_drift(metrics, results), ", ".join(interval(entry) or "&ndash;" for entry in entries))


def is_alone(method):
    """Whether it is a surrogate without a refiner, which may have had nothing to do."""
    others = ("weights_refiner_sha256", "weights_generator_sha256")
    return not is_solver(method) and not is_refined(method) and not any(key in method["attributes"] for key in others)


def how_it_ends(metrics, method):
    """Of a surrogate alone, whether it leaves the attractor: a sentence, empty where nothing can be said."""
    results = method["results"]
    value = ratio(metrics, results, "spectrum_error/late")
    name = f"<strong>{html.escape(method['name'])}</strong>"
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return f"{name} leaves the attractor: it loses {lost(method)} of {counted(method['members'], 'member')}."
    error = f"its spectrum error at the end is {short(value)} times that of solver runs"
    if value >= WORSE:
        return f"{name} leaves the attractor: {error}."
    if lost(method):
        return f"{name} loses {lost(method)} of {counted(method['members'], 'member')}; {error}."
    good = as_good(metrics, results, "spectrum_error/late")
    if good is False or does_not_drift(metrics, results) is False:
        return f"{name} keeps its members, but {error} or drifts."
    if good is None:
        return f"{name} keeps its members; {error}, and whether that is more than {RATIO} times is not told."
    return f"{name} does not leave the attractor in this time."


def criteria_table(metrics):
    """Criteria by method, with the sentences on surrogates alone; empty where there are no independent solver runs."""
    if not metrics["floor"]:
        return ""
    rows = []
    for method in metrics["methods"]:
        results = method["results"]
        rows.append(f"<tr><td>{html.escape(method['name'])}</td>" + stays_cell(method) +
                    ratio_cell(metrics, results, "spectrum_error/late") +
                    ratio_cell(metrics, results, "spectrum_error_ensemble/late") + end_cell(metrics, method) + drift_cell(metrics, results) + "</tr>")
    truth = metrics["truth"]
    fewer = (f" There were {truth['floor_members']} solver runs for {truth['members']} members: their errors of the mean spectrum are larger than "
             "a perfect emulator's would be." if truth["floor_members"] < truth["members"] else "")
    alone = [how_it_ends(metrics, method) for method in metrics["methods"] if is_alone(method)]
    fields = ", of the worse field" if len(truth["fields"]) > 1 else ""
    return (f"<p class='small'>All members within the solver's range to the end; spectrum error of the last window{fields}, at most "
            f"{RATIO} times that of solver against solver (?: it is more, but the intervals of the two do not tell, or for the mean spectrum what solver "
            "runs reach in some windows); an interval of the "
            "drift of the spectrum error (per 1000 steps) that holds zero (?: it does not, but nor does that of solver runs). The last window alone scatters; the mean over the windows of the last third, of method and solver runs, does less (N lost: those count as far as they are finite)."
            f"{fewer} "
            f"{' '.join(alone)}</p>"
            "<table><tr><th>method</th><th>members that stay</th><th>error of members</th><th>error of the mean spectrum</th>"
            f"<th>mean of it over the last third</th><th>drift</th></tr>{''.join(rows)}</table>")
