#!/usr/bin/env python3
"""Writes docs/results.md, a page of finished experiments: prose by hand, figures, tables and provenance from the files.

    .venv/bin/python3 plot/results.py runs/kolmogorov-paper-cpu runs/qg2layer-paper-cpu

With --update only the sections of these experiments are made again, or added, and the others of the page stay, with their figures.

The prose is docs/results_discussion.md: what stands before its first '## ' opens the page; a section '## NAME' or
'## NAME: TITLE' belongs to the experiment of that run.name, '## conclusion' ends the page. It is never written to.
"""

import argparse
import html
import os
import re
import sys
from pathlib import Path

from common import COARSE, PLAIN, REFINED
from github_markdown import to_markdown
from report import Results, main_table
from report_cost import cost_summary, cost_table
from report_criteria import criteria_table
from report_levels import level_table
from report_text import ceiling_table, notes, paired_table
from run_record import facts_table, model_table, stage_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
CONCLUSION = "conclusion"
LINE_COLOURS = PLAIN + COARSE + REFINED


class Prose:
    """Introduction, and text and title by name of section, of the hand-written file."""

    def __init__(self, file):
        text = re.sub(r"<!--.*?-->\n?", "", file.read_text(), flags=re.S)
        self.introduction, *sections = re.split(r"^## ", text, flags=re.M)
        self.introduction = re.sub(r"^# .*\n", "", self.introduction.lstrip(), count=1).strip()
        self.titles, self.texts = {}, {}
        for section in sections:
            head, _, body = section.partition("\n")
            name, _, title = head.partition(":")
            self.titles[name.strip()] = title.strip()
            self.texts[name.strip()] = body.strip()

    def title(self, name):
        return self.titles.get(name) or name

    def text(self, name):
        return self.texts.get(name, "")


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


FINDINGS = "<!-- figures and tables -->"  # between prose and what was measured


class OldPage:
    """The sections of a page that was made before: of experiments, without their prose, and of runs."""

    def __init__(self, file):
        self.experiments, self.provenance = {}, {}
        for section in re.split(r"^## ", file.read_text(), flags=re.M)[1:]:
            head, _, body = section.partition("\n")
            if head == MADE:
                for run in re.split(r"^### ", body, flags=re.M)[1:]:
                    self.provenance[run.partition("\n")[0]] = "### " + run.strip()
            elif name := re.match(r"\s*`([^`]+)`: ", body):
                subtitle, _, rest = body.strip().partition("\n\n")
                self.experiments[name[1]] = (subtitle, rest.partition(FINDINGS)[2].strip())

    def require_no_less(self, run, provenance):
        """Exits where the page's entry of a run has stages that a new one lacks: results that the run folder no longer holds."""
        stages = re.compile(r"^\| ([\w/-]+(?: \(\w+\))?) \|", re.M)
        there = set(stages.findall(provenance))
        # A run with one folder of results says "evaluate"; when another joins it, "evaluate (folder)" of each.
        there |= {stage.partition(" (")[0] for stage in there}
        if missing := set(stages.findall(self.provenance.get(run, ""))) - there:
            sys.exit(f"the page has results of {run} that these folders lack ({', '.join(sorted(missing))}): give new results a run folder of "
                     "another name, or make the whole page")


def merged(old, new, order):
    """The entries of both: new ones in place of old ones of their name, else next to their nearest neighbour in `order`, else last."""
    names = list(old) or list(new)
    for name in new:
        if name in names:
            continue
        place = order.index(name) if name in order else len(order)
        before = [n for n in order[:place] if n in names] if name in order else []
        after = [n for n in order[place + 1:] if n in names]
        names.insert(names.index(before[-1]) + 1 if before else names.index(after[0]) if after else len(names), name)
    return [new.get(name) or old[name] for name in names]


def by_name(entries):
    """Dictionary of (name, text) that may not repeat a name."""
    found = {}
    for name, text in entries:
        if name in found:
            sys.exit(f"there are two results named {name}")
        found[name] = text
    return found


class Page:
    """The page that is being made, and what it has shown already."""

    def __init__(self, options):
        self.options, self.prose = options, Prose(options.discussion)
        self.shown = {}  # run folder -> names of methods whose main metrics stand above

    def picture(self, file, caption, folder):
        if not file.exists():
            sys.exit(f"{file} was not drawn: run sns reproduce again")
        target = self.options.images / re.sub(r"[^\w.-]+", "-", folder) / file.name
        shrunk(file, target, self.options.width, self.options.largest)
        link = Path(os.path.relpath(target, self.options.page.parent)).as_posix()
        return f"![{file.stem}]({link})\n\n{to_markdown(f'<p>{caption}</p>')}"

    def figures(self, results, name):
        for kind in results.facts["kinds"]:
            if kind == "video":
                yield "A video of these rollouts lies in the run's folder; it is too large for this page."
            else:
                yield from (self.picture(file, caption, name) for file, caption in results.pictures(kind))

    def tables(self, results):
        """Tables of one evaluation. The main one is folded where all of its methods stand in another of the same run."""
        metrics, run = results.metrics, run_of(results.folder)
        names = {method["name"] for method in metrics["methods"]}
        above = self.shown.setdefault(run, set())
        if criteria := criteria_table(metrics):
            yield "### Long-run criteria\n\n" + to_markdown(criteria)
        main = to_markdown(main_table(metrics))
        yield folded("Main metrics", main) if names <= above else "### Main metrics\n\n" + main
        if not names <= above:
            yield "### Short term\n\n" + to_markdown(ceiling_table(metrics))
            yield "### Cost\n\n" + to_markdown(cost_summary(metrics) + cost_table(metrics))
            yield folded("Differences between methods", to_markdown(paired_table(metrics, compared_metrics(metrics))))
        if levels := level_table(metrics):
            yield "### Noise levels\n\n" + to_markdown(levels)
        above |= names

    def section(self, name, subtitle, *findings):
        parts = [f"## {html.escape(self.prose.title(name))}", subtitle, self.prose.text(name), FINDINGS, *findings]
        return "\n\n".join(part for part in parts if part)

    def experiment(self, results):
        name = results.title()
        parts = [*self.figures(results, name)]
        if results.metrics:
            parts += self.tables(results)
        parts.append(folded("What to keep in mind", to_markdown(notes(results.metrics, results.facts))))
        return self.section(name, f"`{name}`: {to_markdown(html.escape(results.subtitle()))}", *parts)

    def provenance(self, run, results):
        """How the results of one run were made; results: all of them, in the page's order."""
        judged = [r.metrics for r in results if r.metrics]
        methods = {m["name"]: m for metrics in judged for m in metrics["methods"]}
        models = {m["name"]: m for r in results for m in r.facts["models"]}
        seconds = {name: m["cost"]["wall_seconds"] for name, m in methods.items()}
        made_by = judged[0] if judged else results[0].oracle
        parts = [facts_table(run, made_by, {name: m["attributes"] for name, m in methods.items()}),
                 model_table(run, models.values()), stage_table(run, [r.folder for r in results], seconds)]
        return f"### {run.name}\n\n" + "\n\n".join(map(to_markdown, parts))

    def text(self, folders, old=None):
        every = [Results(folder) for folder in folders]
        by_run = {}
        for results in every:
            by_run.setdefault(run_of(results.folder), []).append(results)
        experiments = by_name((results.title(), self.experiment(results)) for results in every)
        provenance = by_name((run.name, self.provenance(run, results)) for run, results in by_run.items())
        for run, text in provenance.items():
            if old:
                old.require_no_less(run, text)
        kept = {name: self.section(name, *parts) for name, parts in old.experiments.items()} if old else {}
        titles = experiments.keys() | kept.keys()
        for name in set(self.prose.texts) - titles - {CONCLUSION}:
            print(f"warning: {self.options.discussion} has a section {name}, which is none of these experiments", file=sys.stderr)
        for name in titles - set(self.prose.texts):
            print(f"warning: {self.options.discussion} says nothing of {name}", file=sys.stderr)
        made = [f"## {MADE}",
                "Wall clock: of all runs of the program for data sets, trainings and rollouts, of the last run for other stages. Models "
                "that are shipped were trained beforehand, in the time that the table of models gives.",
                *merged(old.provenance if old else {}, provenance, [])]
        conclusion = self.prose.text(CONCLUSION)
        return "\n\n".join([
            f"<!-- Made by plot/results.py; the prose is {self.options.discussion.name}. Do not edit. -->", "# Results",
            self.prose.introduction, *merged(kept, experiments, list(self.prose.texts)),
            *([f"## {self.prose.title(CONCLUSION).capitalize()}", conclusion] if conclusion else []), *made]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="run folders, or folders of results in them")
    parser.add_argument("--page", type=Path, default=DOCS / "results.md")
    parser.add_argument("--images", type=Path, default=DOCS / "images" / "results", help="folder of its pictures; old ones of what is made again are deleted")
    parser.add_argument("--discussion", type=Path, default=DOCS / "results_discussion.md", help="the prose, written by hand")
    parser.add_argument("--update", action="store_true", help="keep the page's sections of other experiments and runs")
    parser.add_argument("--width", type=int, default=1700, help="of pictures, at most, in pixels")
    parser.add_argument("--largest", type=int, default=300_000, help="bytes of a picture")
    options = parser.parse_args()
    folders = [results for folder in options.folders for results in results_in(folder.resolve())]
    if options.update and not options.page.exists():
        parser.error(f"--update: {options.page} does not exist")
    old = OldPage(options.page) if options.update else None
    if not options.update:
        for picture in options.images.glob("*/*.png"):
            picture.unlink()
    text = Page(options).text(folders, old)
    temporary = options.page.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(options.page)
    print(options.page)


if __name__ == "__main__":
    main()
