"""What a long rollout has to show, method by method: whether members stay, and whether their spectra stay right."""

import html
import math

from report_text import by_field, counted, is_refined, is_solver, number, short

RATIO = 1.5  # largest spectrum error beside that of independent solver runs which counts as theirs
WORSE = 5  # smallest from which on a method has left the attractor


def verdict(met, text):
    """Table cell; met: None where the intervals leave it open."""
    mark = {True: "&#10003;", False: "&#10007;", None: "?"}[met]
    return f"<td class='number'>{mark} {text}</td>"


def ratio(metrics, results, name):
    """A score over that of independent solver runs: the largest over fields."""
    floor = metrics["floor"]["results"]
    return max(number(results[metric]["value"]) / number(floor[metric]["value"]) for metric, _ in by_field(metrics, name))


def ratio_cell(metrics, results, name):
    floor, value = metrics["floor"]["results"], ratio(metrics, results, name)
    apart = any(number(results[metric]["low"]) > RATIO * number(floor[metric]["high"]) for metric, _ in by_field(metrics, name))
    met = True if value <= RATIO else False if apart else None
    return verdict(met, "lost" if math.isinf(value) else short(value))


def stays_cell(method):
    lost = sum(step is not None for step in method["first_unstable_step"])
    return verdict(lost == 0, f"{method['members'] - lost} of {method['members']}")


def drift_cell(metrics, results):
    entries = [results[metric] for metric, _ in by_field(metrics, "spectrum_drift/all")]
    met = all(number(entry["low"]) <= 0 <= number(entry["high"]) for entry in entries)
    if any(math.isinf(number(entry["value"])) for entry in entries):
        return verdict(False, "lost")
    return verdict(met, ", ".join(f"[{short(number(entry['low']))}, {short(number(entry['high']))}]" for entry in entries))


def leaves(metrics, method):
    """Whether a surrogate alone is one that drifts, as a sentence."""
    value = ratio(metrics, method["results"], "spectrum_error/late")
    lost = sum(step is not None for step in method["first_unstable_step"])
    name = f"<strong>{html.escape(method['name'])}</strong>"
    if value >= WORSE:
        how = "most of its members are lost" if math.isinf(value) else f"its spectrum error at the end is {short(value)} times that of solver runs"
        return f"{name} leaves the attractor: {how}."
    if lost:
        return f"{name} loses {lost} of {counted(method['members'], 'member')}; the others keep to the attractor."
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
                    ratio_cell(metrics, results, "spectrum_error_ensemble/late") + drift_cell(metrics, results) + "</tr>")
    alone = [leaves(metrics, m) for m in metrics["methods"] if not is_refined(m) and not is_solver(m)]
    fields = " (the worse of the fields)" if len(metrics["truth"]["fields"]) > 1 else ""
    return (f"<p class='small'>All members within the solver's range to the end; spectrum error of the last window over that of solver "
            f"against solver, at most {RATIO}{fields} (?: it is more, but the intervals of the two do not tell); an interval of the drift of the spectrum error (per 1000 steps) that holds zero. "
            f"{' '.join(alone)}</p>"
            "<table><tr><th>method</th><th>members that stay</th><th>error of members</th><th>error of the mean spectrum</th>"
            f"<th>drift</th></tr>{''.join(rows)}</table>")
