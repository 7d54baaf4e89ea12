#!/usr/bin/env python3
"""Writes <run>/report.html, one self-contained file, from the files of a run folder."""

import argparse
import base64
import html
import json
import string
import sys
from pathlib import Path

from report_text import cost_table, duration, metric_tables, model_table, notes, paired_table, stage_table, summary
from training_curves import training_figure


def image(file, caption):
    """<figure> with the PNG inlined; empty if it was not drawn."""
    if not file.exists():
        return f'<p class="small">{html.escape(file.name)} was not drawn.</p>'
    data = base64.b64encode(file.read_bytes()).decode()
    return (f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>")


def provenance(metrics, facts):
    build = metrics["git_commit"] + (" with uncommitted changes" if metrics["git_dirty"] else "")
    rows = [("software", f"SNS suite {metrics['sns_version']}, commit {build}"), ("evaluated", metrics["created_utc"]),
            ("seed", metrics["seed"])]
    for method in metrics["methods"]:
        for key, value in method["attributes"].items():
            if key != "method":
                rows.append((f"rollout {method['name']}: {key}", value))
    cells = "".join(f"<tr><th>{html.escape(str(k))}</th><td><code>{html.escape(str(v))}</code></td></tr>"
                    for k, v in rows)
    return f"<table>{cells}</table>"


def captions(metrics, facts):
    truth, windows = metrics["truth"], metrics["windows"]
    factor = metrics["config"]["energy_factor"]
    several = len(truth["fields"]) > 1
    what = ("Potential vorticity of both layers" if several else truth["fields"][0]["name"].capitalize())
    spectra = {"shells": "kinetic-energy spectra", "pv": "enstrophy spectra", "paper": "spectra, as in the paper's figures,",
               "paper_qg_pv": "spectra, as in the paper's figures,"}[metrics["config"]["spectrum"]]
    band = ("from the smallest to the largest of them" if facts.get("band") == "min_max" else
            "for exp(mean log &plusmn; std log) over them")
    figure1 = (f"{what} of the solver and of each method from one initial condition, in units of the solver's "
               f"standard deviation. Below: {spectra} of three windows, lines for the mean over "
               f"{truth['members']} initial conditions, bands {band} (solver: "
               f"black, with the mean over the whole run). The numbers in the legends are the spectrum errors of the "
               f"table.")
    stability = ("a: spectrum error of the mean spectrum in each window, with intervals; the dashed line and gray "
                 "band show what independent solver runs score. b: members whose energy and enstrophy have always "
                 f"stayed within {factor:g} times the solver's range. c: levels predicted by the noise heads, before "
                 "any floor.")
    dynamics = ("Lines: a, c mean over members; b, d, e, f median over members, ending where half of them are no "
                "longer finite. Bands: from the 10 % to the 90 % quantile over members. Dotted lines: limits beyond "
                "which a member counts as unstable.")
    table = (f"Value and {100 * metrics['config']['confidence']:g} % interval (percentile bootstrap over "
             f"{truth['members']} initial conditions, {metrics['config']['bootstrap']} resamples). The column "
             f"<em>solver vs solver</em> holds the scores of {truth['floor_members']} independent solver runs: what a "
             f"perfect emulator would get. Early, mid, late: steps {windows['early'][0]}&ndash;{windows['early'][1]}, "
             f"{windows['mid'][0]}&ndash;{windows['mid'][1]}, {windows['late'][0]}&ndash;{windows['late'][1]}. "
             f"<em>lost</em>: infinite, because the members concerned did not stay finite.")
    return figure1, stability, dynamics, table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--facts", type=Path, required=True, help="JSON written by the program")
    options = parser.parse_args()
    source = options.run / "evaluation" / "metrics.json"
    if not source.exists():
        sys.exit(f"{source} does not exist: run sns evaluate first")
    metrics = json.loads(source.read_text())
    facts = json.loads(options.facts.read_text())
    figures = options.run / "figures"
    configuration = options.run / "config.yaml"
    truth = metrics["truth"]
    figure1, stability, dynamics, table = captions(metrics, facts)
    main_table, full_table = metric_tables(metrics)
    training = training_figure(facts["models"], options.run, figures / "training.png")
    steps = metrics["methods"][0]["steps"]
    fields = [f["name"] for f in truth["fields"]]
    names = [f"dynamics_{name}.png" for name in fields] if len(fields) > 1 else ["dynamics.png"]
    every, unit = duration(metrics, 1)
    values = {
        "title": html.escape(facts["title"] or options.run.resolve().name),
        "subtitle": html.escape(
            f"{truth['members']} initial conditions, {steps} steps of {every:g} {unit} "
            f"({steps * every:g} in all), {truth['points']} x {truth['points']} points; "
            f"{metrics['created_utc'][:10]}"),
        "summary": summary(metrics, facts),
        "figure1": image(figures / "figure1.png", figure1),
        "metrics_caption": table,
        "metrics": main_table,
        "all_metrics": full_table,
        "stability": image(figures / "stability.png", stability),
        "dynamics": "".join(image(figures / name, dynamics) for name in names),
        "paired": paired_table(metrics),
        "cost": cost_table(metrics),
        "notes": notes(metrics, facts),
        "models": model_table(facts, options.run),
        "training": image(figures / "training.png", "Training: loss of every logged step (line, smoothed) and "
                          "validation loss of the averaged weights (circles).") if training else "",
        "provenance": provenance(metrics, facts),
        "stages": stage_table(facts),
        "configuration": html.escape(configuration.read_text()) if configuration.exists() else "",
    }
    template = string.Template((Path(__file__).parent / "report_template.html").read_text())
    target = options.run / "report.html"
    temporary = target.with_suffix(".tmp")
    temporary.write_text(template.substitute(values))
    temporary.replace(target)


if __name__ == "__main__":
    main()
