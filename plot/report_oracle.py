"""What the report says of the oracle in numbers: its error at a few noise levels of the past frame."""

from report_text import interval, number, short

ROWS = 6


def shown(errors):
    """At most ROWS of them, evenly spaced, the lowest and the highest level among them."""
    last, count = len(errors) - 1, min(ROWS, len(errors))
    return [errors[round(i * last / max(1, count - 1))] for i in range(count)]


def row(name, entry):
    return (f"<tr><td>{name}</td><td class='number'>{short(number(entry['value']))} <span class='interval'>{interval(entry)}</span>"
            "</td></tr>")


def oracle_table(oracle):
    """The curve of the figure at some levels, and what it is to be compared with."""
    rows = [row(str(entry["past_level"]), entry) for entry in shown(oracle["error"])]
    rows += [row("past frame taken for the present one", oracle["persistence"]), row("variance of the frames", oracle["zero"])]
    return ("<table><tr><th>level s<sub>2</sub> of the past frame</th>"
            f"<th>mean square error / variance, {100 * oracle['confidence']:g} % interval over trajectories</th></tr>{''.join(rows)}</table>")
