"""Snapshots of the solver and of each method from one initial condition, energy spectra below; `traversals` adds the
distances from the solver's means beside each row."""

from common import BANDS, SOLVER, nan_mean, np, number, plt, save
from report_text import spectrum_kind

TILE = 1.42  # inches
SIDE = 1.5   # of the text beside the rows
SPECTRUM = 2.0  # height of a panel of spectra
LONG_NAME = 14  # letters that fit beside a row
QUANTITY = {"shells": "kinetic energy $E(k)$", "pv": "enstrophy spectrum", "paper": "kinetic energy $E(k)$",
            "paper_qg_pv": r"$\sum K^2 |\hat q|^2 / 2$"}


def draw_tile(axes, frame, limit, evaluation):
    std = evaluation.std
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not np.isfinite(frame).all():
        axes.set_facecolor("#f2f2f2")
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, "not finite", transform=axes.transAxes, ha="center", va="center", color="#666666")
        return None
    image = axes.imshow((frame if evaluation.y_first else frame.T) / std, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit,
                        interpolation="nearest")
    largest = np.abs(frame).max() / std
    if largest > 2.5 * limit:
        axes.text(0.5, 0.04, rf"max $|{evaluation.symbol}|$ = {largest:.0f} std" if largest < 1e4 else
                  rf"max $|{evaluation.symbol}|$ = {largest:.0e} std", transform=axes.transAxes, ha="center", va="bottom",
                  fontsize=7, bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5})
    return image


def finite_members(curves, window):
    return int((curves["window_finite"][:, window] == 1).sum())


def is_above(curves, period, shown, limit):
    """Whether the whole spectrum lies beyond the panel's upper edge."""
    spectrum = nan_mean(curves["window_spectra"][:, curves.period(period)])[shown]
    spectrum = spectrum[spectrum > 0]  # bins without a mode
    return bool(spectrum.size and np.isfinite(spectrum).all() and spectrum.min() > limit)


def draw_spectra(axes, evaluation, period, first, band):
    k = evaluation.wavenumber
    truth = evaluation.truth
    window = truth.period(period)
    _, low, high = band(truth["window_spectra"][:, window])
    reference = evaluation.file["truth_spectrum"][...]
    shown = k <= k[evaluation.compared].max()
    axes.fill_between(k[shown], low[shown], high[shown], color=SOLVER, alpha=0.15, lw=0)
    axes.plot(k[shown], reference[shown], color=SOLVER, lw=2.2, label="solver", zorder=3)
    for i, curves in enumerate(evaluation.methods):
        w = curves.period(period)
        alive = finite_members(curves, w)
        _, low, high = band(curves["window_spectra"][:, w])
        spectrum = nan_mean(curves["window_spectra"][:, w])
        error = number(evaluation.result(curves.label, f"spectrum_error_ensemble/{period}")["value"])
        label = f"{curves.label}: {error:.2g}" if np.isfinite(error) else f"{curves.label}: none left"
        if np.isfinite(error) and alive < curves.members:
            label += f" ({alive}/{curves.members} finite)"
        if np.isfinite(spectrum).any():
            axes.fill_between(k[shown], low[shown], high[shown], color=curves.color, alpha=0.2, lw=0)
            axes.plot(k[shown], spectrum[shown], color=curves.color, label=label, ls=curves.dash, zorder=4 + i)
        else:
            axes.plot([], [], color=curves.color, ls=curves.dash, label=label)
    axes.set(xscale="log", yscale="log", xlabel="wavenumber $k$")
    usable = reference[shown & evaluation.compared]
    highest = 30 * usable.max()
    axes.set_ylim(usable.min() / 5, highest)
    if beyond := [c.label for c in evaluation.methods if is_above(c, period, shown, highest)]:
        axes.text(0.98, 0.97, f"{', '.join(beyond)}: above the panel", transform=axes.transAxes, ha="right", va="top",
                  fontsize=8, color="#666666")
    ticks = [v for v in (1, 2, 3, 5, 10, 20, 30, 50, 100) if k[shown].min() <= v <= k[shown].max()]
    axes.set_xticks(ticks, [str(v) for v in ticks])
    axes.minorticks_off()
    axes.tick_params(axis="y", which="minor", left=False)
    start, end = evaluation.methods[0]["window_frames"][evaluation.methods[0].period(period)]
    axes.set_title(f"{period}: steps {start} to {end}")
    axes.legend(loc="upper left", bbox_to_anchor=(-0.03, -0.48 / SPECTRUM), handlelength=1.6, alignment="left",
                title="method: spectrum error")
    if first:
        quantity = QUANTITY[spectrum_kind(evaluation.metrics)]
        axes.set_ylabel(f"{evaluation.part}\n{quantity}" if evaluation.several else quantity)
    else:
        axes.tick_params(labelleft=False)


def distance(evaluation, name, metric):
    """A metric with its interval, as text."""
    entry = evaluation.result(name, metric)
    value, low, high = (number(entry[key]) for key in ("value", "low", "high"))
    if not np.isfinite(value):
        return "lost"
    return f"{value:.2g}" + (f"\n[{low:.2g}, {high:.2g}]" if np.isfinite(low) and np.isfinite(high) else "")


def beside(axes, evaluation, name):
    """Distances of a method from the solver's means, beside the last tile of its row."""
    text = (r"$|E-E_0|\,/\,|E_0|$ = " + distance(evaluation, name, "spectrum_distance/all") + "\nmean field, std: "
            + distance(evaluation, name, "mean_field_distance/all"))
    axes.text(1.06, 0.5, text, transform=axes.transAxes, ha="left", va="center", fontsize=8, linespacing=1.35)


def wrapped(name):
    """A method's name on lines of LONG_NAME letters, broken at its underscores; a longer word has a line of its own."""
    lines = []
    for word in name.split("_"):
        if lines and len(lines[-1]) + 1 + len(word) <= LONG_NAME:
            lines[-1] += "_" + word
        else:
            lines.append(word)
    return "\n".join(lines)


def draw(fields, options, name, with_distances=False):
    main_field = fields[0]
    # Row by row: each method's fields below one another.
    rows = [(field, pick(field)) for pick in [lambda f: f.truth] + [lambda f, i=i: f.methods[i]
            for i in range(len(main_field.methods))] for field in fields]
    frames = main_field.truth["snapshot_frames"]
    columns, side = len(frames), SIDE if with_distances else 0
    width = columns * TILE + 1.62 + side
    # Below the tiles: of each field title, panels, axis and legend.
    panel = 0.42 + SPECTRUM + 0.6 + 0.18 * (len(main_field.methods) + 3)
    spectra = panel * len(fields)
    height = len(rows) * TILE + spectra + 0.45
    figure = plt.figure(figsize=(width, height))
    left, right, top = 0.95 / width, 1 - (0.74 + side) / width, 1 - 0.3 / height
    split = (spectra + 0.12) / height
    tiles = figure.add_gridspec(len(rows), columns, left=left, right=right, top=top, bottom=split, wspace=0.04,
                                hspace=0.04)
    image = None
    for r, (field, curves) in enumerate(rows):
        for c in range(columns):
            axes = figure.add_subplot(tiles[r, c])
            image = draw_tile(axes, curves["snapshots"][c], options.color_limit, field) or image
            if r == 0:
                axes.set_title(f"step {frames[c]}" if frames[c] else "initial state", pad=4)
            if c == 0:
                shown = wrapped(curves.label)
                label = f"{shown}\n{field.part}" if field.several else shown
                axes.set_ylabel(label, rotation=90, fontsize=10, color=curves.color, fontweight="bold", labelpad=6)
        if with_distances and curves is not field.truth:
            beside(axes, field, curves.label)
    bar_axes = figure.add_axes([right + (0.1 + side) / width, split, 0.1 / width, top - split])
    bar = figure.colorbar(image, cax=bar_axes, extend="both", extendfrac=0.02)
    bar.set_label("PV / std of its layer" if main_field.several else f"{main_field.title} / std")
    bar.outline.set_visible(False)
    periods = main_field.truth.periods()
    for f, field in enumerate(fields):
        upper = spectra - f * panel - 0.42
        panels = figure.add_gridspec(1, len(periods), left=left, right=right + side / width, wspace=0.08,
                                     bottom=(upper - SPECTRUM) / height, top=upper / height)
        for i, period in enumerate(periods):
            draw_spectra(figure.add_subplot(panels[i]), field, period, i == 0, BANDS[options.band])
    save(figure, options, name)


def snapshots(fields, options):
    draw(fields, options, "figure1")


def traversals(fields, options):
    draw(fields, options, "traversals", with_distances=True)
