"""What a run folder records of how its results came to be: software, data, models, stages."""

import html
import json
import re

from common import open_h5
from report_text import parameter_count


def card(folder):
    """The rows of a weights folder's model card, by name; empty without one."""
    file = folder / "model_card.md"
    if not file.exists():
        return {}
    return dict(re.findall(r"^\| ([^|]+) \| ([^|]*) \|$", file.read_text().split("\n## ")[0], re.M))


def weights_folder(run, model):
    """Where a run keeps the weights of a model that its results are of: there may be trained and shipped ones."""
    return run / "models" / model["name"] / ("shipped" if model["shipped"] else "")


def data_hash(folder):
    """SHA-256 of a data set, from its manifest; a dash without one."""
    manifest = folder / "MANIFEST.jsonl"
    lines = manifest.read_text().splitlines() if manifest.exists() else []
    return json.loads(lines[-1]).get("data_hash", "&ndash;") if lines else "&ndash;"


def data_seconds(folder):
    """Wall clock that the solver spent on a data set, as its files record it."""
    total = 0.0
    for path in folder.glob("data/*/*.h5"):
        with open_h5(path) as file:
            total += float(file["provenance/wall_s"][...].sum())
    return total


def stages(run, results, models):
    """Records of the finished stages of a run and of its folders of results, by name of the stage."""
    files = [run / "dataset" / "stage.json", run / "truth" / "stage.json",
             *sorted(weights_folder(run, model) / "stage.json" for model in models), *sorted(run.glob("rollouts/*.stage.json")),
             *sorted(run.glob("rollouts/ensembles/*.stage.json"))]
    shared = {record["stage"]: record for record in map(_read, files) if record and record["state"] == "finished"}
    own = {}
    for folder in results:
        for part in ("evaluation", "oracle"):
            if record := _read(folder / part / "stage.json"):
                own[f"{record['stage']} ({folder.name})" if len(results) > 1 else record["stage"]] = record
    return shared | own


def _read(file):
    return json.loads(file.read_text()) if file.exists() else None


def seconds_of(run, record, rollout_seconds):
    """Wall clock of a stage, all of its sessions where these are recorded; None for weights that came along."""
    kind, _, name = record["stage"].partition("/")
    facts = record["facts"]
    if kind in ("dataset", "truth"):
        return data_seconds(run / kind)
    if facts.get("weights") == "shipped":
        return None
    if "training_seconds" in facts:
        return float(facts["training_seconds"])
    if kind == "rollout" and name in rollout_seconds:
        return rollout_seconds[name]
    return record["seconds"]


def _duration(seconds):
    return "came with the software" if seconds is None else f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def stage_table(run, results, models, rollout_seconds):
    """Wall clock of each stage, when it ended, and the commit of the program that ran it."""
    found = stages(run, results, models)
    spent = {name: seconds_of(run, record, rollout_seconds) for name, record in found.items()}
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{_duration(spent[name])}</td><td>{record['finished']}</td>"
                   f"<td><code>{record['git_commit'][:12]}</code></td></tr>" for name, record in found.items())
    total = sum(seconds for seconds in spent.values() if seconds is not None)
    return (f"<table><tr><th>stage</th><th>wall clock</th><th>finished</th><th>commit</th></tr>{rows}"
            f"<tr><td>all of these</td><td>{_duration(total)}</td><td></td><td></td></tr></table>")


def model_table(run, models):
    """Size, training and SHA-256 of the data of each model; `models` as in the program's facts."""
    rows = []
    for model in models:
        folder = weights_folder(run, model)
        rows_of_card, count = card(folder), parameter_count(folder)
        cells = [html.escape(model["name"]), model["kind"], f"{count:,}" if count else "&ndash;",
                 *(html.escape(rows_of_card.get(key, "\N{EN DASH}")) for key in (
                     "optimiser steps", "training time", "seed", "lowest validation loss", "selected weights")),
                 "shipped" if model["shipped"] else "this run"]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return ("<table><tr><th>model</th><th>kind</th><th>parameters</th><th>optimiser steps</th><th>training</th><th>seed</th>"
            f"<th>lowest validation loss</th><th>weights used</th><th>trained in</th></tr>{''.join(rows)}</table>")


def facts_table(run, made_by, attributes):
    """Software, seed, devices and hashes. made_by: metrics or oracle; attributes: of each rollout, by method."""
    devices = sorted({a["device"] for a in attributes.values() if "device" in a})
    precisions = sorted({a["precision"] for a in attributes.values() if "precision" in a})
    build = made_by["git_commit"] + (" with uncommitted changes" if made_by["git_dirty"] else "")
    rows = [("software", f"SNS suite {made_by['sns_version']}, commit {build}"), ("evaluated", made_by["created_utc"]),
            ("device of the rollouts", ", ".join(devices)), ("precision of the rollouts", ", ".join(precisions)),
            ("seed", made_by["seed"]), ("training data (SHA-256)", data_hash(run / "dataset")),
            ("solver's trajectories (SHA-256)", data_hash(run / "truth"))]
    cells = "".join(f"<tr><td>{name}</td><td><code>{html.escape(str(value))}</code></td></tr>" for name, value in rows
                    if value not in ("", "&ndash;"))
    return f"<table><tr><th></th><th></th></tr>{cells}</table>"
