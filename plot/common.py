"""What the drawing scripts share: reading an evaluation folder, colours, saving."""

import json
import sys
from pathlib import Path

from families import method_styles

MISSING_PACKAGE = 3  # exit code that the program reports as such

try:
    import h5py
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError as error:
    print(f"plotting needs the Python package {error.name}: pip install numpy h5py matplotlib", file=sys.stderr)
    sys.exit(MISSING_PACKAGE)

SOLVER = "#000000"

plt.rcParams.update({
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
})


def open_h5(path):
    return h5py.File(path)


class Curves:
    """One judged set of trajectories in curves.h5: arrays as attributes, read on demand."""

    def __init__(self, group, label, color, steps, dash="-"):
        self._group, self.label, self.color, self.steps, self.dash = group, label, color, steps, dash
        self.members = int(group.attrs["members"])

    def __contains__(self, name):
        return name in self._group

    def __getitem__(self, name):
        return self._group[name][...]

    def period(self, name):
        """Index of the early, mid or late window."""
        count = len(self["window_frames"])
        return {"early": 0, "mid": count // 2, "late": count - 1}[name]

    def periods(self):
        """Those of early, mid and late that differ: a short rollout has one or two windows."""
        return list({self.period(name): name for name in ("late", "mid", "early")}.values())[::-1]


SYMBOLS = {"vorticity": (r"\omega", "vorticity"), "q_upper": ("q_1", "PV, upper layer"),
           "q_lower": ("q_2", "PV, lower layer")}


def read_metrics(folder):
    """metrics.json of an evaluation folder. Coarse solvers, with which the other methods are compared, stand last."""
    metrics = json.loads((Path(folder) / "metrics.json").read_text())
    if any("worse_in" not in comparison for comparison in metrics.get("speed", [])):
        sys.exit(f"{folder} was evaluated by an earlier version: run sns reproduce again")
    metrics["methods"].sort(key=lambda method: method["cost"]["solver"] is not None)
    return metrics


def evaluations(folder):
    """One Evaluation per field."""
    with h5py.File(Path(folder) / "curves.h5") as file:
        names = [str(name) for name in file.attrs["fields"]]
    return [Evaluation(folder, name) for name in names]


class Evaluation:
    """metrics.json and one field of curves.h5 of an evaluation folder."""

    def __init__(self, folder, field):
        folder = Path(folder)
        self.metrics = read_metrics(folder)
        self.root = h5py.File(folder / "curves.h5")
        self.file = self.root["field"][field]
        self.field = field
        self.symbol, self.title = SYMBOLS.get(field, (field.replace("_", " "), field))
        self.several = len(self.root.attrs["fields"]) > 1
        self.info = next(f for f in self.metrics["truth"]["fields"] if f["name"] == field)
        self.interval = float(self.root.attrs["interval"])
        self.length = float(self.root.attrs["length"])
        # Seconds of a rollout read better as days; other systems have no unit of time.
        in_days = self.root.attrs["time_units"] == "s"
        self.time_scale, self.time_unit = (1 / 86400, " (days)") if in_days else (1, "")
        self.y_first = self.root.attrs["axes"][0] == "y"
        self.std = float(self.file.attrs["field_std"])
        # In waves per domain: the radian wavenumber where the side is 2 pi.
        self.wavenumber = self.root["wavenumber"][...] * self.length / (2 * np.pi)
        self.compared = self.file["compared"][...].astype(bool)
        self.truth = Curves(self.file["truth"], "solver", SOLVER, int(self.file["truth"].attrs["frames"]) - 1)
        self.floor = None
        if "floor" in self.file:
            self.floor = Curves(self.file["floor"], "solver, other initial conditions", SOLVER,
                                int(self.file["floor"].attrs["frames"]) - 1)
        entries = self.metrics["methods"]
        styles = method_styles(folder.parent / "config.yaml", entries)
        self.methods = [Curves(self.file["method"][entry["name"]], entry["name"], styles[entry["name"]][0], entry["steps"],
                               styles[entry["name"]][1]) for entry in entries]
        self.part = self.title.split(", ")[-1]  # of several fields: "upper layer"

    def result(self, name, metric):
        """The entry of one metric of this field, of one method or of 'floor'."""
        metric = f"{metric}/{self.field}" if self.several else metric
        if name == "floor":
            return self.metrics["floor"]["results"][metric] if self.metrics["floor"] else None
        for entry in self.metrics["methods"]:
            if entry["name"] == name:
                return entry["results"].get(metric)
        raise KeyError(name)


def number(value):
    """JSON value to float: infinities are strings, undefined values null."""
    return float("nan") if value is None else float(value)


def log_band(values, axis=0):
    """Centre and band exp(mean log -+ std log) over the finite, positive values."""
    with np.errstate(all="ignore"):
        logs = np.log(np.where((values > 0) & np.isfinite(values), values, np.nan))
    count = np.isfinite(logs).sum(axis=axis)
    mean = np.nansum(logs, axis=axis) / np.maximum(count, 1)
    spread = np.sqrt(np.nansum((logs - np.expand_dims(mean, axis)) ** 2, axis=axis) / np.maximum(count, 1))
    mean = np.where(count > 0, mean, np.nan)
    return np.exp(mean), np.exp(mean - spread), np.exp(mean + spread)


def full_band(values, axis=0):
    """Centre and band from the smallest to the largest of the finite, positive values."""
    usable = np.where((values > 0) & np.isfinite(values), values, np.nan)
    none = ~np.isfinite(usable).any(axis=axis)
    low = np.where(none, np.nan, np.where(np.isfinite(usable), usable, np.inf).min(axis=axis))
    high = np.where(none, np.nan, np.where(np.isfinite(usable), usable, -np.inf).max(axis=axis))
    return nan_mean(usable, axis), low, high


BANDS = {"spread": log_band, "min_max": full_band}


def nan_mean(values, axis=0):
    """Mean over finite values; NaN, without a warning, where there are none."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0).sum(axis=axis)
    return np.where(finite.any(axis=axis), total / np.maximum(finite.sum(axis=axis), 1), np.nan)


def spread(values):
    """10 % and 90 % quantiles over members of the finite values."""
    finite = np.where(np.isfinite(values), values, np.nan)
    none = ~np.isfinite(finite).any(axis=0)
    finite[:, none] = 0
    low, high = np.nanquantile(finite, [0.1, 0.9], axis=0)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


def typical(values, lost=np.inf):
    """Median over members, those that are not finite counting as `lost`, the worst that there is: NaN once it is no member's."""
    middle = np.median(np.where(np.isfinite(values), values, lost), axis=0)
    return np.where(np.isfinite(middle), middle, np.nan)


def line(axes, x, values, curves, center=nan_mean, **style):
    """Centre and spread of [member][x] in the colour of its method."""
    low, high = spread(values)
    axes.fill_between(x, low, high, color=curves.color, alpha=0.18, lw=0)
    axes.plot(x, center(values), color=curves.color, ls=curves.dash, label=curves.label, **style)


def letter(axes, index):
    axes.text(-0.02, 1.04, "abcdefghi"[index], transform=axes.transAxes, fontweight="bold", ha="right", va="bottom")


def fitting_legend(make, columns, room):
    """The legend that make(ncols) draws with as many columns, at most, as fit into `room` pixels."""
    for ncols in range(columns, 0, -1):
        legend = make(ncols)
        if ncols == 1 or legend.get_window_extent(legend.figure.canvas.get_renderer()).width < room:
            return legend
        legend.remove()


def shared_legend(figure, panels, columns=6):
    """One legend of all panels, below them: it covers no curve."""
    entries = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    fitting_legend(lambda ncols: figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=ncols),
                   min(columns, len(entries)), figure.bbox.width)


def remark(axes, lines):
    """What a panel does not show, in its upper right corner."""
    axes.text(0.98, 0.97, "\n".join(lines), transform=axes.transAxes, ha="right", va="top", color="#666666", fontsize=8)


def by_field(name, evaluation):
    """Name of a figure that is drawn once per field."""
    return f"{name}_{evaluation.field}" if evaluation.several else name


def save(figure, options, name):
    figure.savefig(options.figures / f"{name}.png", dpi=options.dpi)
    if options.pdf:
        figure.savefig(options.figures / f"{name}.pdf")
    plt.close(figure)
