"""What the report says of the noise levels that the heads predicted: the histogram in a few numbers."""

import html

from report_text import short

HEADS = {"past": "previous frame", "present": "new frame"}


def quantile(counts, share):
    """Lowest level that at least this share of the predictions does not exceed."""
    seen, total = 0, sum(counts)
    for level, count in enumerate(counts):
        seen += count
        if seen >= share * total:
            return level
    raise ValueError("a histogram without counts")


def row(name, head, counts):
    total = sum(counts)
    mean = sum(level * count for level, count in enumerate(counts)) / total
    highest = max(level for level, count in enumerate(counts) if count > 0)
    cells = [f"{total:,}", f"{100 * counts[0] / total:.1f} %", short(mean), quantile(counts, 0.5), quantile(counts, 0.95),
             highest]
    return (f"<tr><td>{html.escape(name)}</td><td>{head}</td>" +
            "".join(f"<td class='number'>{cell}</td>" for cell in cells) + "</tr>")


def level_table(metrics):
    """Counts per method and head; empty where no method predicts levels."""
    rows = [row(method["name"], words, method["levels"][head]) for method in metrics["methods"]
            for head, words in HEADS.items() if sum(method["levels"][head]) > 0]
    if not rows:
        return ""
    return ("<p class='small'>Levels that the noise heads predicted over all members and the steps in which they were asked, before any floor.</p>"
            "<table><tr><th>method</th><th>head of the</th><th>predictions</th><th>level 0</th><th>mean</th><th>median</th>"
            f"<th>95 % at most</th><th>highest</th></tr>{''.join(rows)}</table>")
