#!/usr/bin/env python3
"""Writes <results>/report.html, one self-contained file, from the files of a folder of results."""

import argparse
import base64
import html
import json
import os
import string
import sys
from pathlib import Path

from common import read_metrics
from dynamics import FEW_WINDOWS
from report_cost import cost_summary, cost_table
from report_criteria import criteria_table
from report_levels import level_table
from report_oracle import oracle_table
from report_text import (FEWEST_FOR_INTERVAL, by_field, ceiling_table, counted, duration, long_ceiling_table, metric_tables, model_table, notes, number, paired_table,
                         short, stage_table, summary)
from training_curves import training_figure


def image(file, caption):
    """<figure> with the PNG inlined; empty if it was not drawn."""
    if not file.exists():
        return f'<p class="small">{html.escape(file.name)} was not drawn.</p>'
    data = base64.b64encode(file.read_bytes()).decode()
    return (f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>")


def provenance(results):
    made_by = results.metrics or results.oracle
    build = made_by["git_commit"] + (" with uncommitted changes" if made_by["git_dirty"] else "")
    rows = [("software", f"SNS suite {made_by['sns_version']}, commit {build}"), ("evaluated", made_by["created_utc"]),
            ("seed", made_by["seed"])]
    for method in results.metrics["methods"] if results.metrics else []:
        for key, value in method["attributes"].items():
            if key != "method":
                rows.append((f"rollout {method['name']}: {key}", value))
    if results.oracle and "weights_sha256" in results.oracle:
        rows.append((f"oracle: weights of {results.oracle['model']} (SHA-256)", results.oracle["weights_sha256"]))
    cells = "".join(f"<tr><th>{html.escape(str(k))}</th><td><code>{html.escape(str(v))}</code></td></tr>"
                    for k, v in rows)
    return f'<div class="scroll"><table>{cells}</table></div>'


def captions(metrics, facts):
    """Kind of figure -> caption."""
    truth, config = metrics["truth"], metrics["config"]
    several = len(truth["fields"]) > 1
    what = ("Potential vorticity of both layers" if several else truth["fields"][0]["name"].capitalize())
    spectra = {"shells": "kinetic-energy spectra", "pv": "enstrophy spectra", "paper": "spectra, as in the paper's figures,",
               "paper_qg_pv": "spectra, as in the paper's figures,"}[config["spectrum"]]
    band = ("from the smallest to the largest of them" if facts.get("band") == "min_max" else
            "for exp(mean log &plusmn; std log) over them")
    snapshots = (f"{what} of the solver and of each method from one initial condition, in units of the solver's "
                 f"standard deviation. Below: {spectra} of three windows, lines for the mean over "
                 f"{counted(truth['members'], 'initial condition')}, bands {band} (solver: "
                 f"black, with the mean over the whole run). The numbers in the legends are the spectrum errors of the "
                 f"table.")
    interval = f"{100 * config['confidence']:g} % interval over initial conditions"
    return {
        "snapshots": snapshots,
        "traversals": snapshots + (
            " Beside the rows: relative L2 distance of the mean spectrum of the whole rollout, and L2 distance of the mean "
            f"field in standard deviations, both from the solver's, with {interval}. Solver runs from other initial "
            f"conditions have {floor_distances(metrics)}."),
        "stability": (
            f"{'a, b' if several else 'a'}: spectrum error of the mean spectrum in each window, with intervals (of more "
            f"than {FEW_WINDOWS} windows without: thin lines, and thick ones for the median of neighbouring windows); the dashed "
            f"line and gray band show what independent solver runs score. {'c' if several else 'b'}: members whose energy and "
            f"enstrophy have always stayed within {config['energy_factor']:g} times the solver's range; lines are shifted a "
            f"little, so that none hides another. {'d' if several else 'c'}: levels predicted by the noise heads, before any "
            "floor."),
        "dynamics": (
            "Lines: a, c mean over the members that stay finite (a: throughout, c: in the late window); b, d, e, f median over members, ending "
            "where half of them are no longer finite; curves over time are means over at most 2000 blocks. Bands: from the 10 % to the 90 % quantile over members. Dotted lines: limits beyond "
            "which a member counts as unstable."),
        "temporal": (
            "a, b: C(&tau;) of the first and of the last steps. c, d: R(t) over the solver's mean, step by step. Lines: "
            "mean over the members that are finite. Bands: from the 10 % to the 90 % quantile over them."),
        "forecast": (
            "a: error against the solver's run from the same initial condition, in its standard deviations: median over "
            "initial conditions, bands from the 10 % to the 90 % quantile; where ensembles were run, up to twice their time. "
            "b, c, where they were: their fair CRPS, median over initial conditions, and their spread over the error of their mean, "
            "a ratio of sums over initial conditions, which is 1 where the solver is like a further member. Dashed: unrelated solver runs; dotted and "
            "dash-dotted: forecasts without dynamics, in CRPS the distribution at each point; all of these are means."),
        "levels": (
            "Noise levels that the heads predict for the previous and for the new frame, over all members and the steps in which they are asked, "
            "before any floor and whether or not the method acts on them, on a logarithmic scale; with classify: noised, of frames with the "
            "noise of the lowest level."),
    }


def floor_distances(metrics):
    """What solver runs score in the distances of the traversals, as text."""
    parts = []
    for name in ("spectrum_distance/all", "mean_field_distance/all"):
        for metric, of in by_field(metrics, name):
            if metrics["floor"]:
                parts.append(f"{short(number(metrics['floor']['results'][metric]['value']))}{of}")
    return " and ".join(parts) if parts else "not been made"


def table_caption(metrics):
    truth, windows = metrics["truth"], metrics["windows"]
    few = "" if truth["members"] >= FEWEST_FOR_INTERVAL else f"; fewer than {FEWEST_FOR_INTERVAL} have none but of shares"
    members, runs = truth["members"], truth["floor_members"]
    as_many = f" (errors of means over members: of {members} of them, as many as a method has)" if runs > members else ""
    perfect = "what a perfect emulator would get" + (
        f", but for errors of means over members, which are larger of fewer than the {members} of a method" if runs < members else "")
    solvers = "" if not metrics["floor"] else (
        f"The column <em>solver vs solver</em> holds the scores of {counted(truth['floor_members'], 'independent solver run')}"
        f"{as_many}: {perfect}. ")
    return (f"Value and {100 * metrics['config']['confidence']:g} % interval (percentile bootstrap, of shares Wilson's, over "
            f"{counted(truth['members'], 'initial condition')}, {metrics['config']['bootstrap']} resamples{few}). {solvers}"
            f"Early, mid, late: steps {windows['early'][0]}&ndash;{windows['early'][1]}, "
            f"{windows['mid'][0]}&ndash;{windows['mid'][1]}, {windows['late'][0]}&ndash;{windows['late'][1]}. "
            f"<em>lost</em>: infinite, because the members concerned did not stay finite; <em>N lost</em>: a mean over members to which N that are "
            "lost count as far as they were finite. Resampling makes distances of means larger: their intervals may lie above them.")


def oracle_caption(oracle):
    trajectories = len(oracle["trajectories"])
    band = (f"; band: {100 * oracle['confidence']:g} % bootstrap interval over trajectories" if trajectories >= FEWEST_FOR_INTERVAL else "")
    return (f"Estimates of a frame x<sub>t</sub> at noise level {oracle['level']} by {html.escape(oracle['model'])}, "
            f"which was trained on levels 0 to {oracle['levels'] - 1}, from it and a past frame at level s<sub>2</sub>. "
            f"Above: one pair, in standard deviations. Below: mean square error over {trajectories} solver trajectories that training has not seen and "
            f"{len(oracle['times'])} times of each{band}. Dashed: the past frame taken for the present one; dotted: "
            f"variance of the frames. Gray lines: the levels shown above.")


class Results:
    """What a folder of results holds, and its figures as HTML."""

    LARGEST_VIDEO = 20e6  # bytes that are put into the page; a larger one is linked

    def __init__(self, folder):
        self.folder = folder
        self.facts = json.loads((folder / "figures" / "report_facts.json").read_text())
        self.metrics = read_metrics(self._made("evaluation/metrics.json").parent) if self.facts["evaluated"] else None
        self.oracle = json.loads(self._made("oracle/oracle.json").read_text()) if self.facts["oracle"] else None

    def _made(self, name):
        file = self.folder / name
        if not file.exists():
            sys.exit(f"{file} does not exist: run sns reproduce first")
        return file

    def title(self):
        return self.facts["title"] or self.folder.name

    def subtitle(self):
        if self.metrics is None:
            return f"model {self.oracle['model']}; {self.oracle['created_utc'][:10]}"
        truth, steps = self.metrics["truth"], self.metrics["methods"][0]["steps"]
        every, unit = duration(self.metrics, 1)
        return (f"{counted(truth['members'], 'initial condition')}, {steps} steps of {every:g} {unit} "
                f"({steps * every:g} in all), {truth['points']} x {truth['points']} points; "
                f"{self.metrics['created_utc'][:10]}")

    def pictures(self, kind):
        """(PNG file, caption as HTML) of each picture of a kind of figure other than video; no file need be there."""
        caption = oracle_caption(self.oracle) if kind == "oracle" else captions(self.metrics, self.facts)[kind]
        return [(self.folder / "figures" / f"{name}.png", caption) for name in self._names(kind)]

    def figures(self, linked_from=None):
        """HTML of each kind of figure, in order. linked_from: folder of the page, for what is too large for it."""
        return [self._video(linked_from or self.folder) if kind == "video" else
                "".join(image(file, caption) for file, caption in self.pictures(kind)) + self.table_below(kind)
                for kind in self.facts["kinds"]]

    def table_below(self, kind):
        """HTML of the table that belongs to a kind of figure; empty for most."""
        return scroll(oracle_table(self.oracle)) if kind == "oracle" else ""

    def _names(self, kind):
        """Files of a kind of figure, without extension: one per field for some."""
        if kind == "snapshots":
            return ["figure1"]
        if kind in ("dynamics", "temporal", "forecast"):
            fields = [f["name"] for f in self.metrics["truth"]["fields"]]
            return [f"{kind}_{field}" for field in fields] if len(fields) > 1 else [kind]
        return [kind]

    def _video(self, page):
        file = self.folder / "video" / "rollout.mp4"
        if not file.exists():
            return '<p class="small">The video was not made.</p>'
        if file.stat().st_size > self.LARGEST_VIDEO:
            source = os.path.relpath(file, page)
        else:
            source = "data:video/mp4;base64," + base64.b64encode(file.read_bytes()).decode()
        return (f'<figure><video controls loop muted src="{source}"></video><figcaption>The solver and the methods from '
                "one initial condition, in units of the solver's standard deviation.</figcaption></figure>")


def section(title, *parts):
    return f"<h2>{title}</h2>\n" + "\n".join(parts)


def details(title, content):
    return f"<details><summary>{title}</summary>{content}</details>"


def scroll(content):
    return f'<div class="scroll">{content}</div>'


def main_table(metrics):
    """The main metrics and what their columns mean."""
    return f'<p class="small">{table_caption(metrics)}</p>\n' + scroll(metric_tables(metrics)[0])


def training_section(results, run):
    target = results.folder / "figures" / "training.png"
    drawn = training_figure(results.facts["models"], run, target)
    return section("Models and training", scroll(model_table(results.facts, run)),
                   image(target, "Training: loss of every logged step (line, smoothed) and validation loss of the "
                         "averaged weights (circles); of noise heads, where there are any, the cross entropy, and in newer logs "
                         "that of a head which does not look at frames.") if drawn else "")


def body(results, run):
    """The report's sections."""
    metrics, facts, figures = results.metrics, results.facts, results.figures()
    remarks = section("What to keep in mind", f'<div class="notes">{notes(metrics, facts)}</div>')
    if metrics:
        parts = [f'<div class="summary">{summary(metrics, facts, cost_summary(metrics))}</div>', *figures[:1],
                 *([section("Long-run criteria", scroll(criteria))] if (criteria := criteria_table(metrics)) else []),
                 section("Main metrics", main_table(metrics)),
                 section("Short term", scroll(ceiling_table(metrics))), *figures[1:],
                 section("Differences between methods", paired_table(metrics)), section("Cost", cost_table(metrics)),
                 *([section("Noise levels", scroll(levels))] if (levels := level_table(metrics, run / "rollouts")) else []),
                 *([section("Statistics without dynamics", scroll(useless))] if (useless := long_ceiling_table(metrics)) else []),
                 remarks, training_section(results, run),
                 section("All metrics", details("Every metric, every window", scroll(metric_tables(metrics)[1])))]
    else:
        parts = [*figures, remarks, training_section(results, run)]
    configuration = results.folder / "config.yaml"
    text = html.escape(configuration.read_text()) if configuration.exists() else ""
    parts.append(section("How it was made", provenance(results), scroll(stage_table(facts)),
                         details("Configuration, with all defaults", f"<pre>{text}</pre>")))
    return "\n".join(parts)


def write_page(target, title, subtitle, content):
    template = string.Template((Path(__file__).parent / "report_template.html").read_text())
    temporary = target.with_suffix(".tmp")
    temporary.write_text(template.substitute(title=html.escape(title), subtitle=html.escape(subtitle), body=content))
    temporary.replace(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder with evaluation/, figures/ and report_facts.json in the latter")
    parser.add_argument("--run", type=Path, required=True, help="run folder, which has the models")
    options = parser.parse_args()
    results = Results(options.results.resolve())
    write_page(options.results / "report.html", results.title(), results.subtitle(), body(results, options.run))


if __name__ == "__main__":
    main()
