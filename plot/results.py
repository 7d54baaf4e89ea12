#!/usr/bin/env python3
"""Writes pages of finished experiments: docs/results.md, which opens and lists them, and one for each in docs/results/, where prose by
hand stands before figures and tables from the files.

    .venv/bin/python3 plot/results.py runs/kolmogorov-paper-cpu runs/qg2layer-paper-cpu

With --update only the pages of these experiments are made again, or added; the others keep figures and tables, and get their prose anew.

The prose is docs/results_discussion.md. What stands before the first '# TITLE' (after its own) opens docs/results.md; each '# TITLE' begins a group
of its list, '## NAME' or '## NAME: TITLE' in it the page of the experiment of that run.name, whose first paragraph, if it is a quotation
('> ...'), stands in the list, too; '# conclusion' closes docs/results.md, in whose opening excerpts.py puts numbers of the pages. Links are as
from the prose's folder. It is never written to.
"""

import argparse
import html
import os
import re
import sys
from pathlib import Path

from excerpts import with_excerpts
from families import FAMILIES
from github_markdown import to_markdown
from report import Results, main_table
from report_cost import cost_summary, cost_table
from report_criteria import criteria_table
from report_levels import level_table
from report_text import ceiling_table, long_ceiling_table, notes, paired_table
from run_record import facts_table, model_table, stage_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
CONCLUSION = "conclusion"
LINE_COLOURS = sum(FAMILIES.values(), [])


class Prose:
    """Introduction, conclusion, groups (title, names of their experiments), and text, title and finding by name, of the hand-written file."""

    def __init__(self, file):
        self.folder = file.resolve().parent
        text = re.sub(r"<!--.*?-->\n?", "", file.read_text(), flags=re.S)
        text = re.sub(r"^# .*\n", "", text.lstrip(), count=1)
        self.conclusion, self.groups, self.titles, self.texts = "", [], {}, {}
        self.introduction, *groups = re.split(r"^# ", text, flags=re.M)
        self.introduction = self.introduction.strip()
        for group in groups:
            head, *sections = re.split(r"^## ", group, flags=re.M)
            head, _, body = head.partition("\n")
            if head.strip().lower() == CONCLUSION:
                self.conclusion = body.strip()
                continue
            if body.strip():
                sys.exit(f"{file}: '# {head.strip()}' has text before its first '## NAME', which no page would show")
            self.groups.append((head.strip(), []))
            for section in sections:
                head, _, body = section.partition("\n")
                name, _, title = (words.strip() for words in head.partition(":"))
                if name in self.titles:
                    sys.exit(f"{file} has two sections '## {name}'")
                self.groups[-1][1].append(name)
                self.titles[name], self.texts[name] = title, body.strip()

    def title(self, name):
        return self.titles.get(name) or name

    def text(self, name):
        return self.texts.get(name, "")

    def finding(self, name):
        quotation = re.match(r"((?:>.*\n?)+)", self.text(name))
        return " ".join(line[1:].strip() for line in quotation[1].splitlines()) if quotation else ""


def moved_links(text, before, after):
    """Markdown whose relative links were as from the folder `before`, with links as from the folder `after`."""
    def move(match):
        path, mark, heading = match[1].partition("#")
        return f"]({Path(os.path.relpath(before / path, after)).as_posix()}{mark}{heading})"

    return re.sub(r"\]\((?!\w+:|#)([^)\s]+)\)", move, text)


def anchor(heading):
    """What GitHub calls a heading in links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def results_in(folder):
    """Folders of results: a run folder itself, or those in it, one per figure."""
    found = [f.parents[1] for f in [folder / "figures" / "report_facts.json", *sorted(folder.glob("*/figures/report_facts.json"))]
             if f.exists()]
    if not found:
        sys.exit(f"{folder} holds no results: run sns reproduce first")
    return found


def run_of(folder):
    """The run folder that a folder of results belongs to."""
    return folder if (folder / "rollouts").exists() or (folder / "models").exists() else folder.parent


def palette_of(image):
    """256 colours: those of the methods, whole and half way to white (bands, thin lines), which no other may stand for; the
    frequent ones of the picture, of which fields are made, and some that lie far apart; grays from black to white."""
    from PIL import Image

    def colours(count, method):
        found = image.quantize(count, method=method).getpalette()[: 3 * count]
        triples = [found[i:i + 3] for i in range(0, len(found), 3)]
        return [value for triple in triples for value in ([255] * 3 if min(triple) > 245 else triple)]  # paper is white

    palette = Image.new("P", (1, 1))
    grays = [level for level in range(0, 256, 17) for _ in range(3)]
    lines = [int(name[i:i + 2], 16) for name in LINE_COLOURS for i in (1, 3, 5)]
    mixed = lines + [(value + 255) // 2 for value in lines]
    frequent = (256 * 3 - len(grays) - len(mixed)) // 3 - 30
    palette.putpalette(grays + mixed + colours(frequent, Image.Quantize.MEDIANCUT) + colours(30, Image.Quantize.MAXCOVERAGE))
    return palette


def shrunk(source, target, width, largest):
    """Copies a PNG with at most `width` columns and 256 colours, smaller until it has at most `largest` bytes."""
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        full = image.convert("RGB")
    while True:
        height = max(1, round(full.height * width / full.width))
        # Plain means: sharper filters make new colours, which compress badly.
        small = full.resize((width, height), Image.BOX) if width < full.width else full
        small.quantize(palette=palette_of(small), dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= largest or width < 200:
            return
        width = round(0.85 * min(width, full.width))


def folded(title, text):
    """Text that is shown on demand."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>" if text else ""


def compared_metrics(metrics):
    """Ids, of all fields, of those that decide whether a solver is as good as an emulator, and of the scores of ensembles."""
    return [info["id"] for info in metrics["metrics"]
            if f"{info['key']}/{info['period']}" in metrics["quality_metrics"] or info["key"] in ("crps", "ensemble_nrmse")]


MADE = "How these results were made"
PROVENANCE = "provenance"                     # the page of that title
FINDINGS = "<!-- figures and tables -->"      # between prose and what was measured
MADE_BY = "<!-- Made by plot/results.py"
DO_NOT_EDIT = MADE_BY + "; the prose is {}. Do not edit. -->"


class OldPages:
    """Pages that were made before: subtitles and what was measured by experiment, and provenance by run."""

    def __init__(self, folder):
        self.experiments, self.provenance = {}, {}
        for file in sorted(folder.glob("*.md")):
            text = file.read_text()
            if not text.startswith(MADE_BY):
                continue
            if file.stem == PROVENANCE:
                for run in re.split(r"^## ", text, flags=re.M)[1:]:
                    self.provenance[run.partition("\n")[0]] = "## " + run.strip()
            elif found := re.search(r"^`([^`]+)`: .*$", text, re.M):
                self.experiments[found[1]] = (found[0], text.partition(FINDINGS)[2].strip())
        if self.experiments and not self.provenance:
            sys.exit(f"{folder} has pages of results and no {PROVENANCE}.md, which says how they were made: make all pages")

    def require_no_less(self, run, provenance):
        """Exits where the entry of a run has stages that a new one lacks: results that the run folder no longer holds."""
        stages = re.compile(r"^\| ([\w/-]+(?: \([^)]+\))?) \|", re.M)
        there = set(stages.findall(provenance))
        # A run with one folder of results says "evaluate"; when another joins it, "evaluate (folder)" of each.
        there |= {stage.partition(" (")[0] for stage in there}
        if missing := set(stages.findall(self.provenance.get(run, ""))) - there:
            sys.exit(f"the pages have results of {run} that these folders lack ({', '.join(sorted(missing))}): give new results a run folder of "
                     "another name, or make all pages")


def by_name(entries):
    """Dictionary of (name, text) that may not repeat a name."""
    found = {}
    for name, text in entries:
        if name in found:
            sys.exit(f"there are two results named {name}")
        found[name] = text
    return found


class Pages:
    """The pages that are being made, in the folder that is called as their list without its ending."""

    def __init__(self, options):
        self.options, self.prose = options, Prose(options.discussion)
        self.folder = options.page.resolve().with_suffix("")
        self.written_files = set()

    def file(self, name):
        return self.folder / (re.sub(r"[^\w.-]+", "-", name) + ".md")

    def remove_others(self):
        """Deletes pages and pictures that an earlier call made and this one did not."""
        old = [file for file in self.folder.glob("*.md") if file.read_text().startswith(MADE_BY)]
        for file in [*old, *self.options.images.resolve().glob("*/*.png")]:
            if file not in self.written_files:
                file.unlink()

    def write(self, file, *parts):
        text = "\n\n".join(part for part in (DO_NOT_EDIT.format(self.options.discussion.name), *parts) if part)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(file)
        self.written_files.add(file)

    def written(self, text, folder):
        """What was written by hand, with links as from a page in `folder`."""
        return moved_links(text, self.prose.folder, folder)

    def picture(self, file, caption, name):
        if not file.exists():
            sys.exit(f"{file} was not drawn: run sns reproduce again")
        target = self.options.images.resolve() / self.file(name).stem / file.name
        shrunk(file, target, self.options.width, self.options.largest)
        self.written_files.add(target)
        link = Path(os.path.relpath(target, self.folder)).as_posix()
        return f"![{file.stem}]({link})\n\n{to_markdown(f'<p>{caption}</p>')}"

    def figures(self, results, name):
        for kind in results.facts["kinds"]:
            if kind == "video":
                yield "A video of these rollouts lies in the run's folder; it is too large for this page."
            else:
                yield from (self.picture(file, caption, name) for file, caption in results.pictures(kind))
                yield to_markdown(results.table_below(kind))

    def tables(self, metrics, rollouts):
        """Tables of one evaluation and the folder of its rollouts; the long ones are folded."""
        if criteria := criteria_table(metrics):
            yield "## Long-run criteria\n\n" + to_markdown(criteria)
        yield "## Main metrics\n\n" + to_markdown(main_table(metrics))
        yield "## Short term\n\n" + to_markdown(ceiling_table(metrics))
        yield "## Cost\n\n" + to_markdown(cost_summary(metrics) + cost_table(metrics))
        yield folded("Differences between methods", to_markdown(paired_table(metrics, compared_metrics(metrics))))
        if useless := long_ceiling_table(metrics):
            yield folded("Statistics without dynamics", to_markdown(useless))
        if levels := level_table(metrics, rollouts):
            yield "## Noise levels\n\n" + to_markdown(levels)

    def measured(self, results):
        """Subtitle, and figures and tables, of one experiment."""
        name = results.title()
        parts = [*self.figures(results, name), *(self.tables(results.metrics, run_of(results.folder) / "rollouts") if results.metrics else ()),
                 folded("What to keep in mind", to_markdown(notes(results.metrics, results.facts))),
                 f"[{MADE}]({PROVENANCE}.md#{anchor(run_of(results.folder).name)})"]
        return f"`{name}`: {to_markdown(html.escape(results.subtitle()))}", "\n\n".join(part for part in parts if part)

    def provenance(self, run, results):
        """How the results of one run were made; results: all of them."""
        judged = [r.metrics for r in results if r.metrics]
        methods = {m["name"]: m for metrics in judged for m in metrics["methods"]}
        models = {m["name"]: m for r in results for m in r.facts["models"]}
        seconds = {name: m["cost"]["wall_seconds"] for name, m in methods.items()}
        made_by = judged[0] if judged else results[0].oracle
        parts = [facts_table(run, made_by, {name: m["attributes"] for name, m in methods.items()}),
                 model_table(run, models.values()), stage_table(run, [r.folder for r in results], models.values(), seconds)]
        return f"## {run.name}\n\n" + "\n\n".join(map(to_markdown, parts))

    def listed(self, names):
        """The list of the pages: groups in the order of the prose, what it says nothing of at the end."""
        left = [name for name in names if name not in self.prose.titles]
        for title, members in [*self.prose.groups, ("", left)]:
            entries = [f"- [{html.escape(self.prose.title(name))}]({self.folder.name}/{self.file(name).name})"
                       + f": {self.written(self.prose.finding(name), self.folder.parent)}" * bool(self.prose.finding(name)) for name in members if name in names]
            if entries:
                yield "\n\n".join([*([f"### {title}"] if title else []), "\n".join(entries)])

    def introduction(self, findings):
        """Of the prose, with numbers of the pages."""
        try:
            text, absent = with_excerpts(self.prose.introduction, findings)
        except ValueError as error:
            sys.exit(f"{self.options.discussion}: {error}")
        for name in absent:
            print(f"warning: {self.options.discussion} has an excerpt of {name}, which is none of these experiments", file=sys.stderr)
        return text

    def make(self, folders, old=None):
        every = [Results(folder) for folder in folders]
        by_run = {}
        for results in every:
            by_run.setdefault(run_of(results.folder), []).append(results)
        provenance = by_name((run.name, self.provenance(run, results)) for run, results in by_run.items())
        if old:
            for run, text in provenance.items():
                old.require_no_less(run, text)
        new = by_name((results.title(), self.measured(results)) for results in every)
        experiments = {**(old.experiments if old else {}), **new}
        by_name((self.file(name).stem, name) for name in [PROVENANCE, *experiments])  # two names may not share a page
        for name in set(self.prose.texts) - experiments.keys():
            print(f"warning: {self.options.discussion} has a section {name}, which is none of these experiments", file=sys.stderr)
        for name in experiments.keys() - set(self.prose.texts):
            print(f"warning: {self.options.discussion} says nothing of {name}", file=sys.stderr)
        introduction = self.introduction({name: findings for name, (_, findings) in experiments.items()})
        back = f"[All results]({Path(os.path.relpath(self.options.page.resolve(), self.folder)).as_posix()})"
        for name, (subtitle, findings) in experiments.items():
            self.write(self.file(name), back, f"# {html.escape(self.prose.title(name))}", subtitle,
                       self.written(self.prose.text(name), self.folder), FINDINGS, findings)
        self.write(self.folder / f"{PROVENANCE}.md", back, f"# {MADE}",
                   "Wall clock: of all runs of the program for data sets, trainings and rollouts, of the last run for other stages. Models "
                   "that are shipped were trained beforehand, in the time that the table of models gives.",
                   *{**(old.provenance if old else {}), **provenance}.values())
        here = self.options.page.resolve().parent
        self.write(self.options.page, "# Results", self.written(introduction, here), "## The experiments", *self.listed(experiments),
                   f"[{MADE}]({self.folder.name}/{PROVENANCE}.md)",
                   "## Conclusion" * bool(self.prose.conclusion), self.written(self.prose.conclusion, here))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="run folders, or folders of results in them; none with --update: the prose alone is made anew")
    parser.add_argument("--page", type=Path, default=DOCS / "results.md", help="the list; the pages lie beside it, in a folder of its name")
    parser.add_argument("--images", type=Path, default=DOCS / "images" / "results", help="folder of their pictures; without --update, older ones are deleted")
    parser.add_argument("--discussion", type=Path, default=DOCS / "results_discussion.md", help="the prose, written by hand")
    parser.add_argument("--update", action="store_true", help="keep the pages of other experiments, and what is known of other runs")
    parser.add_argument("--width", type=int, default=1700, help="of pictures, at most, in pixels")
    parser.add_argument("--largest", type=int, default=300_000, help="bytes of a picture")
    options = parser.parse_args()
    folders = [results for folder in options.folders for results in results_in(folder.resolve())]
    pages = Pages(options)
    if not folders and not options.update:
        parser.error("no folder of results is given")
    if options.update and not pages.folder.is_dir():
        parser.error(f"--update: {pages.folder} does not exist")
    old = OldPages(pages.folder) if options.update else None
    pages.make(folders, old)
    if not options.update:
        pages.remove_others()
    print(options.page)


if __name__ == "__main__":
    main()
