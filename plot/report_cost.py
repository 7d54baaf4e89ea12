"""What the report says of cost: sentences and the table, all made from metrics.json."""

import html
import math

from report_text import counted, interval, is_solver, number, short, time_unit


def times(ratio):
    """A ratio of times per step in words."""
    return f"{short(1 / ratio)} times faster" if ratio < 1 else f"{short(ratio)} times slower"


def labels(metrics, names):
    """Labels of metrics by id."""
    by_id = {info["id"]: info["label"] for info in metrics["metrics"]}
    return ", ".join(by_id.get(name, name) for name in names)


def solver_name(method):
    use = method["cost"]["solver"]
    return f"{method['name']} ({use['points']} x {use['points']} points)"


def spread(metrics, comparison, key):
    """The interval of a ratio of times and their clock, for behind its words; empty where it is not on record."""
    shown = interval(comparison.get(f"{key}_estimate") or {"low": None, "high": None})
    clock = "CPU time" if by_cpu_time(metrics) else "wall clock"
    return f" (ratio of {clock} per step {short(number(comparison[key]))} {shown})" if shown else ""


def reference_clause(metrics, comparison):
    ratio = number(comparison["times_reference"])
    if math.isnan(ratio):
        return "is not compared with the solver that made the data (another device, other threads, or no time)"
    return f"is {times(ratio)} than the solver that made the data{spread(metrics, comparison, 'times_reference')}"


def surely_faster(comparison):
    """Whether the whole interval of the ratio to the equal solver's time is below 1. Earlier evaluations have the ratio alone."""
    if "times_equal_estimate" not in comparison:
        return number(comparison["times_equal"]) < 1
    return number(comparison["times_equal_estimate"]["high"]) < 1  # never of NaN: too few steps for an interval


def equal_clause(metrics, comparison):
    """The emulator beside the cheapest solver that is as good."""
    if comparison["lost"]:
        return f"it loses {counted(comparison['lost'], 'member')}, so that no speed-up is claimed"
    solvers = {m["name"]: m for m in metrics["methods"] if is_solver(m)}
    if not solvers:
        return "no coarser solver was run, so that no speed-up is claimed"
    if comparison["equal_solver"] is None:
        return ("no coarser solver among the methods has metrics as good as its own, so that the solver that made the data is "
                "the one to beat")
    name = html.escape(solver_name(solvers[comparison["equal_solver"]]))
    ratio = number(comparison["times_equal"])
    if math.isnan(ratio):
        return f"{name} has metrics as good as its own, but ran on another device or other threads"
    worse = comparison["worse_in"]
    reasons = []
    if ratio < 1 and not surely_faster(comparison):
        reasons.append("the two times are not told apart")
    if ratio < 1 and worse:
        reasons.append(f"that solver is better in: {html.escape(labels(metrics, worse))}")
    verdict = "a speed-up at equal metrics" if ratio < 1 and not reasons else "no speed-up at equal metrics"
    if reasons:
        verdict += f", as {' and '.join(reasons)}"
    return (f"it is {times(ratio)} than {name}, the cheapest solver tried whose metrics are statistically as good"
            f"{spread(metrics, comparison, 'times_equal')}: {verdict}")


def better_clause(metrics, comparison):
    return "".join(f" Its metrics are better than those of {html.escape(solver)} in: {html.escape(labels(metrics, ids))}."
                   for solver, ids in comparison["better_than"].items())


def speed_sentences(metrics):
    """Each emulator beside the solver and beside the cheapest solver tried whose metrics are as good."""
    return "".join(f"<p><strong>{html.escape(one['method'])}</strong> {reference_clause(metrics, one)}; "
                   f"{equal_clause(metrics, one)}.{better_clause(metrics, one)}</p>" for one in metrics["speed"])


def on_record(cost, clock):
    """The time of a step by a clock as an estimate, or None: earlier evaluations have that of the clock on the wall, without an interval."""
    return (cost.get("milliseconds_estimates") or {}).get(clock)


def by_cpu_time(metrics):
    """Whether times are compared by CPU time rather than by the clock on the wall."""
    return metrics.get("cost_clock") == "cpu"


def shown_time(metrics, cost):
    """Milliseconds of a step by the clock that is compared, in words."""
    if by_cpu_time(metrics):
        return f"{short(number(on_record(cost, 'cpu')['value']))} ms of CPU time"
    return f"{short(number(cost['milliseconds_per_step']))} ms"


def cost_sentence(metrics):
    parts = []
    for method in metrics["methods"]:
        cost = method["cost"]
        use = cost["solver"]
        work = (counted(use["steps_per_frame"], "solver step") if use else
                counted(sum(cost["evaluations_per_step"].values()), "network evaluation"))
        parts.append(f"{html.escape(method['name'])} {work} per step and {shown_time(metrics, cost)} per step")
    solver = metrics["solver_cost"]
    sentence = "Cost: " + "; ".join(parts) + "."
    if solver:
        sentence += (f" The solver that made the data covers the same simulated time in "
                     f"{shown_time(metrics, solver)} ({solver['points']} x {solver['points']} points, "
                     f"{counted(solver['threads'], 'thread')}).")
    return sentence


def cost_summary(metrics):
    return f"<p>{cost_sentence(metrics)} A speed-up is claimed only at equal metrics.</p>{speed_sentences(metrics)}"


def evaluations_cell(cost, kind):
    """Evaluations of one network per step, with an interval where members differ."""
    estimate = cost.get("evaluations_estimates", {}).get(kind)  # older evaluations have none
    differ = estimate is not None and short(number(estimate["low"])) != short(number(estimate["high"]))
    return f"<td>{short(cost['evaluations_per_step'][kind])}{f' {interval(estimate)}' if differ else ''}</td>"


def with_interval(value, estimate):
    """Table cell of a value and, where it is on record, its interval."""
    return f"<td>{short(number(value))} {interval(estimate) if estimate else ''}".rstrip() + "</td>"


def time_cells(cost, cpu_time):
    """Milliseconds of a step on the wall and, if that column is there, of CPU time."""
    wall = with_interval(cost["milliseconds_per_step"], on_record(cost, "wall"))
    if not cpu_time:
        return wall
    used = on_record(cost, "cpu")
    return wall + (with_interval(used["value"], used) if used else "<td>&ndash;</td>")


def cost_table(metrics):
    solver = metrics["solver_cost"]
    scale, unit = time_unit(metrics)
    cpu_time = any(on_record(method["cost"], "cpu") for method in metrics["methods"])
    clock = "CPU time" if by_cpu_time(metrics) else "time"
    head = ("<tr><th></th><th>surrogate</th><th>noise heads</th><th>denoiser</th><th>solver steps</th>"
            f"<th>milliseconds per step</th>{'<th>CPU milliseconds per step</th>' if cpu_time else ''}"
            f"<th>simulated {unit} per second</th><th>threads</th>"
            f"<th>{clock} per step / solver's</th><th>Courant number</th></tr>")
    rows = []
    for method in metrics["methods"]:
        cost, use = method["cost"], method["cost"]["solver"]
        steps = f"{use['steps_per_frame']} ({use['points']} x {use['points']}, dt {use['dt']:g})" if use else "0"
        evaluations = "".join(evaluations_cell(cost, kind) for kind in ("surrogate", "classifier", "denoiser"))
        rows.append(f"<tr><td>{html.escape(method['name'])}</td>{evaluations}<td>{steps}</td>{time_cells(cost, cpu_time)}"
                    f"<td>{short(scale * number(cost['simulated_per_second']))}</td><td>{cost['threads'] or '&ndash;'}</td>"
                    f"{with_interval(cost['times_solver'], cost.get('times_solver_estimate'))}"
                    f"<td>{short(number(use['largest_courant'])) if use else ''}</td></tr>")
    if solver:
        rows.append(f"<tr><td>solver ({solver['points']} x {solver['points']}, {solver['precision']}, "
                    f"{solver['backend']}, {counted(solver['members'], 'member')})"
                    f"</td><td></td><td></td><td></td><td>{solver['steps_per_frame']}</td>{time_cells(solver, cpu_time)}"
                    f"<td>{short(scale * number(solver['simulated_per_second']))}</td>"
                    f"<td>{solver['threads']}</td><td>1</td><td></td></tr>")
    times = ("Intervals of times are over up to twenty blocks of a run's steps, and say how the machine, and the work, varied along it. "
             if cpu_time else "Wall clock is measured once for all members. ")
    clocks = "wall clock and CPU time" if cpu_time else "and wall clock"
    return ("<p class='small'>Network evaluations (with intervals over initial conditions where members differ), solver steps, "
            f"{clocks} per step of one member, lost members counted "
            f"while they lived; a step is one frame interval. {times}Simulated time is that of all members together in a second "
            "of wall clock. File output is included for the methods, coarse solvers among them. The ratio is empty where device "
            "or threads differ from the solver's. Courant number: largest of those looked at, every 50 frames.</p>"
            f"<div class='scroll'><table>{head}{''.join(rows)}</table></div>")
