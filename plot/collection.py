#!/usr/bin/env python3
"""Writes one page of several experiments: their figures and main metrics, with links to their reports."""

import argparse
import html
import os
from pathlib import Path

from report import Results, details, main_table, section, write_page
from report_cost import cost_table
from report_text import notes


def part(results, page):
    """One experiment: link, subtitle, figures, tables."""
    link = html.escape(os.path.relpath(results.folder / "report.html", page.parent))
    parts = [f'<p class="small">{html.escape(results.subtitle())}. <a href="{link}">Whole report</a></p>',
             *results.figures(page.parent)]
    if results.metrics:
        parts += [details("Main metrics", main_table(results.metrics)), details("Cost", cost_table(results.metrics))]
    parts.append(details("What to keep in mind", f'<div class="notes">{notes(results.metrics, results.facts)}</div>'))
    return section(html.escape(results.title()), *parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="HTML file")
    parser.add_argument("results", type=Path, nargs="+", help="folders with a report each")
    parser.add_argument("--title", required=True)
    options = parser.parse_args()
    parts = [part(Results(folder.resolve()), options.page.resolve()) for folder in options.results]
    write_page(options.page, options.title, f"{len(parts)} experiments", "\n".join(parts))


if __name__ == "__main__":
    main()
