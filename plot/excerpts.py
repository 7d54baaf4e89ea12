"""Tables of a few numbers from pages of results, for the opening of their list.

In the prose a block

    ```excerpt NAME
    METHOD: what the row is called
    METRIC, WINDOW: what the column is called
    ```

becomes a table from the main metrics of the experiment NAME, with a row for each line that begins with a method and a column for each that
begins with a metric and its window, all as the page calls them.
"""

import re

BLOCK = re.compile(r"^```excerpt +(.+?)[ \t]*\n((?:(?!```).*\n)*)```[ \t]*$", re.M)
MAIN = "## Main metrics"


class MainTable:
    """Numbers by (metric, window) and method of a page's main metrics."""

    def __init__(self, page):
        lines = [line for line in page.partition(MAIN)[2].partition("\n## ")[0].splitlines() if line.startswith("|")]
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines] or [[], []]
        self.methods = head[3:]  # behind metric, window and ideal
        self.numbers = {f"{row[0]}, {row[1]}": dict(zip(self.methods, row[3:])) for row in rows}


def named(lines, keys):
    """(key, title) of the lines 'KEY: TITLE' whose key is one of these."""
    found = [(key, line[len(key) + 1:].strip()) for line in lines for key in keys if line.startswith(f"{key}:")]
    return [(key, title) for key, title in found if title]


def table(name, lines, page):
    main = MainTable(page)
    lines = [line.strip() for line in lines if line.strip()]
    methods, metrics = named(lines, main.methods), named(lines, main.numbers)
    for line in lines:
        if "|" in line or not named([line], [*main.methods, *main.numbers]):
            raise ValueError(f"'{line}' of the excerpt of {name} is neither 'METHOD: TITLE' nor 'METRIC, WINDOW: TITLE' with what its main metrics have")
    if not methods or not metrics:
        raise ValueError(f"the excerpt of {name} needs a method and a metric")
    rows = [["", *(title for _, title in metrics)], ["---"] * (len(metrics) + 1)]
    rows += [[title, *(main.numbers[key][method] for key, _ in metrics)] for method, title in methods]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_excerpts(text, pages):
    """Text with its blocks replaced, and the names of experiments that have no page, whose blocks are left out. pages: Markdown by name.
    ValueError for a block that cannot be read or asks for what its page lacks."""
    absent = []

    def replace(block):
        if block[1] in pages:
            return table(block[1], block[2].splitlines(), pages[block[1]])
        absent.append(block[1])
        return ""

    text = BLOCK.sub(replace, text)
    if "```excerpt" in text:
        raise ValueError("an excerpt has no name or no end ('```' in a line of its own)")
    return text, absent
