"""Training curves of a run's models from their metrics.jsonl."""

import json
from pathlib import Path

from common import np, plt


def load(model, run):
    """Logged records of a model: of the run folder, or of the folder that shipped weights came from."""
    candidates = [run / "models" / model["name"] / "metrics.jsonl"]
    if model["weights"]:
        candidates.insert(0, Path(model["weights"]) / "metrics.jsonl")
    for file in candidates:
        if file.exists():
            return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return []


def number(value):
    """Finite numbers are themselves; what JSON cannot hold (null, "nan") is NaN."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def smoothed(values, width):
    """Running median: single spikes do not hide the trend."""
    if width <= 1:
        return values
    return np.array([np.nanmedian(values[max(0, i - width + 1): i + 1]) for i in range(len(values))])


def draw(axes, name, records):
    training = [(r["step"], number(r["loss"])) for r in records if "loss" in r]
    validation = [(r["step"], number(r["validation"]["loss"])) for r in records if "loss" in r.get("validation", {})]
    if training:
        steps, losses = map(np.array, zip(*training))
        axes.plot(steps, losses, color="#cccccc", lw=0.8)
        axes.plot(steps, smoothed(losses, max(1, len(losses) // 50)), color="#444444", lw=1.4, label="training")
    if validation:
        axes.plot(*zip(*validation), "o", color="#D55E00", ms=4, label="validation")
    draw_heads(axes, [r for r in records if "validation" in r])
    axes.set(yscale="log", xlabel="optimiser step", ylabel="loss", title=name)
    axes.legend()


def draw_heads(axes, records):
    """Cross entropies of the noise heads, and, in logs that have it, that of a head which does not look at frames."""
    for name, label, style in (("ce", "head", {"color": "#0072B2"}), ("ce_past", "past head", {"color": "#0072B2"}),
                               ("ce_present", "present head", {"color": "#009E73", "ls": "--"}),
                               ("ce_blind", "blind head", {"color": "black", "ls": ":"})):
        points = [(r["step"], number(r["validation"][name])) for r in records if name in r["validation"]]
        if points:
            axes.plot(*zip(*points), lw=1.2, label=label, **style)


def training_figure(models, run, target):
    """Draws one panel per model that has a log; False if none has."""
    logs = [(model["name"], load(model, run)) for model in models]
    logs = [(name, records) for name, records in logs if records]
    if not logs:
        return False
    columns = min(len(logs), 3)
    rows = -(-len(logs) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(4.4 * max(columns, 2), 2.9 * rows), layout="constrained",
                                  squeeze=False)
    for axes, (name, records) in zip(panels.flat, logs):
        draw(axes, name, records)
    for axes in panels.flat[len(logs):]:
        axes.set_axis_off()
    figure.savefig(target, dpi=140)
    plt.close(figure)
    return True
