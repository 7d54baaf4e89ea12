"""What the report says of the noise levels that the heads predicted: the histogram in a few numbers."""

import html

from common import np, open_h5
from report_text import FEWEST_FOR_INTERVAL, short

HEADS = {"past": "previous frame", "present": "new frame"}


def quantile(counts, share):
    """Lowest level that at least this share of the predictions does not exceed."""
    seen, total = 0, sum(counts)
    for level, count in enumerate(counts):
        seen += count
        if seen >= share * total:
            return level
    raise ValueError("a histogram without counts")


def by_member(rollouts, method, head):
    """Counts [member][level] from the file of a rollout. None without that file, while it is being written, and where it does not have
    the counts of metrics.json: it is of a later run then."""
    counts = method["levels"][head]
    try:
        with open_h5(rollouts / f"{method['name']}.h5") as file:
            levels = file["levels"][:, :, list(HEADS).index(head)]
    except OSError:
        return None
    if levels.max(initial=-1) >= len(counts):
        return None
    result = np.stack([np.bincount(member[member >= 0], minlength=len(counts)) for member in levels])
    return result if (result.sum(axis=0) == counts).all() else None


def sums(counts):
    """Number of predictions, of those of level 0, and sum of the levels, of histograms [..., level]."""
    return np.stack([counts.sum(axis=-1), counts[..., 0], counts @ np.arange(counts.shape[-1])], axis=-1)


def intervals(members, config, seed):
    """(low, high) of the share of level 0 and of the mean level, by percentile bootstrap: whole members [member][level] are drawn, since
    the predictions of one follow from each other."""
    drawn = np.random.default_rng(seed).integers(len(members), size=(config["bootstrap"], len(members)))
    totals = sums(members)[drawn].sum(axis=1)
    totals = totals[totals[:, 0] > 0]  # without draws of members none of which was asked
    outside = (1 - config["confidence"]) / 2
    return np.quantile(totals[:, 1:] / totals[:, :1], [outside, 1 - outside], axis=0).T


def bracket(bounds, text):
    return f" <span class='interval'>[{', '.join(text(float(bound)) for bound in bounds)}]</span>"


def row(name, head, counts, spread):
    """spread: as of intervals, or None."""
    total, zero, levels = map(int, sums(np.array(counts)))
    highest = max(level for level, count in enumerate(counts) if count > 0)
    share, mean = f"{100 * zero / total:.1f} %", short(levels / total)
    if spread is not None:
        share += bracket(spread[0], lambda bound: f"{100 * bound:.1f}")
        mean += bracket(spread[1], short)
    cells = [f"{total:,}", share, mean, quantile(counts, 0.5), quantile(counts, 0.95), highest]
    return (f"<tr><td>{html.escape(name)}</td><td>{head}</td>" +
            "".join(f"<td class='number'>{cell}</td>" for cell in cells) + "</tr>")


def level_table(metrics, rollouts):
    """Counts per method and head; empty where no method predicts levels. rollouts: folder of the files that were evaluated, without which
    there are no intervals."""
    rows = []
    for method in metrics["methods"]:
        for head, words in HEADS.items():
            if sum(method["levels"][head]) > 0:
                members = by_member(rollouts, method, head)
                spread = intervals(members, metrics["config"], metrics["seed"]) if members is not None and len(members) >= FEWEST_FOR_INTERVAL else None
                rows.append(row(method["name"], words, method["levels"][head], spread))
    if not rows:
        return ""
    return ("<p class='small'>Levels that the noise heads predicted over all members and the steps in which they were asked, before any floor and whether or not the "
            "method acts on them; with classify: noised, of frames with the noise of the lowest level. "
            f"Intervals, where the rollouts are at hand: {100 * metrics['config']['confidence']:g} %, bootstrap over initial conditions.</p>"
            "<table><tr><th>method</th><th>head of the</th><th>predictions</th><th>level 0</th><th>mean</th><th>median</th>"
            f"<th>95 % at most</th><th>highest</th></tr>{''.join(rows)}</table>")
