"""Tables of a few numbers that stand on pages of results.

In the prose of docs/results.md a block

    ```excerpt NAME
    METHOD: what the row is called
    METRIC, WINDOW: what the column is called
    ```

becomes a table from the main metrics of the experiment NAME, with a row for each line that names a method and a column for each that names a
metric and its window, all as the page calls them.
"""

import re

BLOCK = re.compile(r"^```excerpt (.+)\n((?:.*\n)*?)```$", re.M)
MAIN = "## Main metrics"


class MainTable:
    """Numbers by (metric, window) and method of a page's main metrics."""

    def __init__(self, page):
        lines = [line for line in page.partition(MAIN)[2].partition("\n## ")[0].splitlines() if line.startswith("|")]
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines] or [[], []]
        self.methods = head[3:]  # behind metric, window and ideal
        self.numbers = {f"{row[0]}, {row[1]}": dict(zip(self.methods, row[3:])) for row in rows}


def table(name, lines, page):
    main = MainTable(page)
    named = [tuple(part.strip() for part in line.rpartition(": ")[::2]) for line in lines if line.strip()]
    methods = [(key, title) for key, title in named if key in main.methods]
    metrics = [(key, title) for key, title in named if key not in main.methods]
    for key, _ in metrics:
        if key not in main.numbers:
            raise ValueError(f"the main metrics of {name} have neither a method nor a metric and window '{key}'")
    rows = [["", *(title for _, title in metrics)], ["---"] * (len(metrics) + 1)]
    rows += [[title, *(main.numbers[key][method] for key, _ in metrics)] for method, title in methods]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_excerpts(text, pages):
    """Text with its blocks replaced; pages: Markdown by the name of the experiment. ValueError for what none of them has."""
    def replace(block):
        if block[1] not in pages:
            raise ValueError(f"there is no page of '{block[1]}' to take an excerpt from")
        return table(block[1], block[2].splitlines(), pages[block[1]])

    return BLOCK.sub(replace, text)
