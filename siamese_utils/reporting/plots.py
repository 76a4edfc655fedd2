"""Tidy frames in, figures out: each function draws one figure and returns it.

The columns of a frame are `subplot`, `series`, `x`, `y`, and where there are any `seed`, `low` and
`high`. What is drawn is what its CSV holds.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import MaxNLocator

# Okabe and Ito 2008: told apart by readers with any colour vision, in print too.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
GREY = "#595959"
INDIGO, BROWN = "#332288", "#8C510A"  # for the few figures that need more
# The colours of text and axes, of the ground and of the grid. The pages replace them, and those
# above, by their own in the dark theme: no other colour of a figure may be spelled like these.
INK, PAPER, GRID = "#1d2129", "#fefefe", "#dcdcdd"
CLASS_COLOURS = (*SERIES, GREY, INK, BROWN, INDIGO)
STYLE = {
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "font.size": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "siamese-utils",  # the same figure is the same file
}
MAX_LABEL = 34  # letters of a name
WIDTH = 7.2  # inches: the width of a page's text
MAX_LETTERS = 118  # of a legend, that fit in it
NARROW_WIDTH = 3.6  # on a phone, where subplots stand below each other
LINE = 22  # letters there of a row's name, in each of its lines

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
MARKERS = "os^DvP*Xph"

styled = plt.rc_context(STYLE)  # a decorator: nothing outside a drawing function is changed


@styled
def lines(
    frame: pd.DataFrame,
    *,
    x: str = "",
    y: str = "",
    at: float | None = None,
    diagonal: bool = False,
    narrow: bool = False,
    **axes_options: Any,
) -> Figure:
    """Draw y against x, a line for each series, a thin one for each seed where there are several.

    Training and validation of one network share a colour. Points with `low` and `high`
    have bars, x that is text is spaced evenly. x, y: labels; at: an upright guide line; narrow: for
    a phone.
    """
    figure, axes = _figure(_subplots(frame), 2.9, narrow)
    names = list(dict.fromkeys(frame["series"]))
    colours = dict(zip(dict.fromkeys(map(_network, names)), SERIES * 2, strict=False))
    for ax, (title, part) in zip(axes, _parts(frame), strict=True):
        places = list(dict.fromkeys(part["x"]))
        for i, name in enumerate(names):
            rows = part[part["series"] == name]
            look = {"color": colours[_network(name)], "ls": _dash(name, i, names)}
            _draw_series(ax, rows, name, look, places, shift=0.06 * i)
        if diagonal:
            ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        if at is not None:
            ax.axvline(at, color=GREY, lw=0.8, ls=":")
        ax.set(**{"title": title, "xlabel": x, "ylabel": y * _is_left(ax)} | axes_options)
        if not _is_named(frame) and (frame["x"] == frame["x"].round()).all():
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend_below(figure, axes)
    return figure


@styled
def dots(
    frame: pd.DataFrame, *, x: str = "", one_scale: bool = False, narrow: bool = False
) -> Figure:
    """Draw means with 95 % intervals in rows; series that end with ", 2019" as open diamonds.

    frame: x the mean, series the row. one_scale: whether subplots are to be compared too.
    """
    rows = list(dict.fromkeys(name.removesuffix(", 2019") for name in frame["series"]))[::-1]
    figure, axes = _figure(_subplots(frame), 0.9 + 0.35 * len(rows), narrow)
    for ax in axes[1:] if one_scale else ():
        ax.sharex(axes[0])
    for ax, (title, part) in zip(axes, _parts(frame), strict=True):
        for row in part.itertuples():
            y = rows.index(row.series.removesuffix(", 2019"))
            if row.series.endswith(", 2019"):
                ax.plot(row.x, y, "D", mfc="none", mec=VERMILION, ms=7)
                continue
            bar = None if np.isnan(row.low) else [[row.x - row.low], [row.high - row.x]]
            ax.errorbar(row.x, y, xerr=bar, fmt="o", color=BLUE, capsize=4, ms=5)
        ax.set(title=title, xlabel=x, ylim=(-0.6, len(rows) - 0.4))
        ax.set_yticks(
            range(len(rows)), [textwrap.fill(row, LINE) if narrow else row for row in rows]
        )
        ax.tick_params(labelleft=_is_left(ax))
    return figure


@styled
def histograms(
    frame: pd.DataFrame, *, thresholds: Mapping[str, float], x: str = "", narrow: bool = False
) -> Figure:
    """Draw the shares of same and different pairs by distance: x the left edges, y the shares."""
    figure, axes = _figure(_subplots(frame), 2.8, narrow)
    for ax, (title, part) in zip(axes, _parts(frame), strict=True):
        for name, color, filled in (("same", BLUE, True), ("different", VERMILION, False)):
            rows = part[part["series"] == name]
            edges = [*rows["x"], 2 * rows["x"].iloc[-1] - rows["x"].iloc[-2]]
            look = {"alpha": 0.75, "lw": 0} if filled else {"lw": 1.6}
            ax.stairs(rows["y"], edges, fill=filled, color=color, label=name, **look)
        for style, (rule, threshold) in zip(DASHES, thresholds.items(), strict=False):
            ax.axvline(threshold, color=GREY, ls=style, lw=1.2, label=rule)
        label = "share of pairs (log)" * _is_left(ax)
        ax.set(title=title, xlabel=x, ylabel=label, yscale="log")
    _legend_below(figure, axes)
    return figure


@styled
def heat_map(frame: pd.DataFrame, *, label: str, marked: Sequence[str] = ()) -> Figure:
    """Draw a value for each two names: frame of x, y (names) and `value`, which may be NaN.

    The names that are `marked` stand in vermilion and italics.
    """
    names = list(dict.fromkeys(frame["x"]))
    values = frame.pivot(index="y", columns="x", values="value").loc[names, names].to_numpy()
    figure, ax = plt.subplots(figsize=(WIDTH, 4.6))
    image = ax.imshow(values, cmap="cividis", vmin=0.5, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            look = {"color": "white" if value < 0.75 else "black", "fontsize": 7}
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", **look)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.grid(False)
    for ticks in (ax.get_xticklabels(), ax.get_yticklabels()):
        for tick in ticks:
            tick.set(**_name_style(tick.get_text() in marked))
    figure.colorbar(image, label=label, shrink=0.8)
    return figure


@styled
def class_splits(frame: pd.DataFrame, *, x: str = "", narrow: bool = False) -> Figure:
    """Draw a circle for each training, in a row for each series, sorted: x the value."""
    series = list(dict.fromkeys(frame["series"]))
    figure, axes = _figure(_subplots(frame), 2.2, narrow)
    for ax, (title, part) in zip(axes, _parts(frame), strict=True):
        for y, (name, color, marker) in enumerate(
            zip(series, (BLUE, VERMILION), "oD", strict=False)
        ):
            values = np.sort(part.loc[part["series"] == name, "x"])
            spread = np.linspace(-0.28, 0.28, len(values)) if len(values) > 1 else np.zeros(1)
            ax.plot(values, y + spread, marker, ms=3.5, color=color, mfc="none")
        ax.set(title=title, xlabel=x, ylim=(-0.6, len(series) - 0.4))
        ax.set_yticks(range(len(series)), series)
        ax.tick_params(labelleft=_is_left(ax))
    return figure


@styled
def embedding_maps(
    frame: pd.DataFrame, *, pictures: np.ndarray | None = None, every: int = 20
) -> Figure:
    """Draw images as dots, a series a class; up to three maps in a row.

    pictures: (images, h, w, c) uint8, in the order of each subplot's rows; every so many is drawn
    in its dot's place. Without them all maps have one scale.
    """
    number = _subplots(frame)
    columns = min(number, 3)
    figure, axes = _figure(number, 0.6 + 6.8 / columns, columns=columns)
    for ax, (title, part) in zip(axes, _parts(frame), strict=True):
        for colour, marker, (name, rows) in zip(
            CLASS_COLOURS, MARKERS, part.groupby("series", sort=False), strict=False
        ):
            look = {"color": colour, "marker": marker, "lw": 0, "alpha": 0.6, "s": 7}
            ax.scatter(rows["x"], rows["y"], label=_literal(name), **look)
        if pictures is not None:
            _draw_some(ax, part[["x", "y"]].to_numpy(), pictures, every)
        else:
            ax.set(**_square(frame), box_aspect=1)
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    _legend_below(figure, axes, columns=5)
    return figure


@styled
def image_grid(images: np.ndarray, *, names: Sequence[str], marked: Sequence[str] = ()) -> Figure:
    """Draw a row of example images per class: images (classes, examples, h, w, c), a name each.

    The names that are `marked` stand in vermilion and italics.
    """
    figure, axes = plt.subplots(
        *images.shape[:2], figsize=(WIDTH, 0.62 * len(images)), squeeze=False
    )
    for row, name in enumerate(names):
        for column in range(images.shape[1]):
            _draw_image(axes[row, column], images[row, column])
        style = _name_style(name in marked)
        label = axes[row, 0].set_ylabel(
            _literal(name), rotation=0, ha="right", va="center", **style
        )
        label.set_fontsize(8)
    return figure


@styled
def pair_gallery(images: np.ndarray, *, titles: Sequence[str]) -> Figure:
    """Draw pairs, six a row, each under its title: images (pairs, 2, h, w, c)."""
    rows = -(-len(images) // 6)
    figure, axes = plt.subplots(rows, 6, figsize=(WIDTH, 1.05 * rows), squeeze=False)
    for ax in axes.ravel():
        ax.axis("off")
    for ax, (a, b), title in zip(axes.ravel(), images, titles, strict=False):
        blank = 0 if a.shape[2] == 1 else 255  # white: a single channel is drawn as ink
        gap = np.full((a.shape[0], 2, a.shape[2]), blank, dtype=np.uint8)
        _draw_image(ax, np.concatenate([a, gap, b], axis=1))
        ax.set_title(_literal(title), fontsize=7, loc="center")
    return figure


@styled
def two_towers(pairs: Mapping[str, Mapping[str, Any]], *, narrow: bool = False) -> Figure:
    """Draw how a network judges pairs: two images each, one encoder, embeddings, their distance.

    pairs: the answer in words -> `images` (2, h, w, c), `embeddings` (2, dimensions), `distance`.
    """
    heights = [1, 1, 0.3] * len(pairs)
    figure = plt.figure(figsize=(NARROW_WIDTH if narrow else WIDTH, 0.85 * len(pairs)))
    widths = (1, 2.6, 3, 2.8) if narrow else (1, 3, 9, 3.2)
    grid = figure.add_gridspec(len(heights), 4, width_ratios=widths, height_ratios=heights)
    highest = max(np.max(of["embeddings"]) for of in pairs.values())
    for number, (answer, of) in enumerate(pairs.items()):
        both = slice(3 * number, 3 * number + 2)
        told = _bare(figure.add_subplot(grid[both, 3]))
        told.plot([0.05, 0.15, 0.15, 0.05], [0.8, 0.8, 0.2, 0.2], color=GREY, lw=1)
        words = f"distance {of['distance']:.2f}:\n{answer}"
        size = 8 if narrow else 10
        told.text(0.3, 0.5, words, color=SERIES[number], fontsize=size, va="center")
        for row, image, embedding in zip(
            range(len(heights))[both], of["images"], of["embeddings"], strict=True
        ):
            _draw_image(figure.add_subplot(grid[row, 0]), image)
            numbers = _bare(figure.add_subplot(grid[row, 2]))
            look = {"color": INK, "lw": 0.8 if narrow else 1.2}
            numbers.vlines(range(len(embedding)), 0, embedding, **look)
            numbers.set(ylim=(0, highest), xlim=(-1, len(embedding)))
    _draw_encoder(_bare(figure.add_subplot(grid[:-1, 1])), heights[:-1], 7 if narrow else 9)
    return figure


def _draw_encoder(ax: Axes, heights: Sequence[float], size: int) -> None:
    """Draw a box that all images go through; heights: of the rows, those below 1 are empty."""
    whole = sum(heights)
    ax.set_ylim(whole, 0)
    ax.add_patch(plt.Rectangle((0.27, 0.05), 0.46, whole - 0.1, fc=PAPER, ec=GREY))
    ax.text(0.5, whole / 2, "one\nencoder", ha="center", va="center", fontsize=size)
    look = {"arrowstyle": "->", "color": GREY}
    for top, height in zip(np.cumsum([0, *heights]), heights, strict=False):
        for start in (0, 0.75) if height == 1 else ():
            ax.annotate("", (start + 0.25, top + 0.5), (start, top + 0.5), arrowprops=look)


def _bare(ax: Axes) -> Axes:
    """Take the frame off; both axes go from 0 to 1."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    return ax


WITH_NARROW_VARIANT = lines, dots, histograms, class_splits, two_towers  # are drawn narrow too


def to_ink(images: np.ndarray) -> np.ndarray:
    """Return images as they are shown, ink on paper: (..., h, w, 1) -> (..., h, w); colours stay."""
    return 255 - images[..., 0] if images.shape[-1] == 1 else images


def describe_data(data: pd.DataFrame) -> str:
    """Return what a frame shows as a sentence, for an alt text: its own, or each series' last or only value."""
    if "alt" in data.attrs:
        return data.attrs["alt"]
    if "value" in data:
        lowest = data.nsmallest(3, "value").drop_duplicates("value")
        pairs = "; ".join(f"{row.x} and {row.y}: {row.value:.3g}" for row in lowest.itertuples())
        return f"A value for each two of {data['x'].nunique()} classes. Lowest: {pairs}."
    parts = []
    for names, rows in data.dropna(subset="x").groupby(["subplot", "series"], sort=False):
        shown = rows[rows["x"] == rows["x"].iloc[-1]]["y"] if "y" in rows else rows["x"]
        parts.append(f"{', '.join(filter(None, names))}: {shown.mean():.4g}")
    return f"{'Where the lines end. ' if 'y' in data else ''}{'; '.join(parts)}."


def _figure(
    number: int, height: float, narrow: bool = False, columns: int = 0
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes: in a row, in so many columns, or in one where it is narrow.

    height: of a row, in inches.
    """
    columns = 1 if narrow else columns or number
    rows = -(-number // columns)
    size = NARROW_WIDTH if narrow else WIDTH, height * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.ravel()[number:]:
        ax.axis("off")
    return figure, axes.ravel()[:number]


def _is_left(ax: Axes) -> bool:
    return ax.get_subplotspec().is_first_col()


def _subplots(frame: pd.DataFrame) -> int:
    return frame["subplot"].nunique()


def _parts(frame: pd.DataFrame) -> Any:
    return frame.groupby("subplot", sort=False)


def _is_named(frame: pd.DataFrame) -> bool:
    return not pd.api.types.is_numeric_dtype(frame["x"])


def _network(name: str) -> str:
    return name.removesuffix(", training").removesuffix(", validation")


def _dash(name: str, place: int, names: Sequence[str]) -> object:
    """Return a line's dashes: validation is dashed beside training, else each series has its own."""
    if any("validation" in other for other in names) and any("training" in o for o in names):
        return "--" if "validation" in name else "-"
    return DASHES[place % len(DASHES)]


def _draw_series(
    ax: Axes,
    rows: pd.DataFrame,
    name: str,
    look: dict[str, object],
    places: Sequence[object],
    shift: float,
) -> None:
    """Draw a series: thin lines for its seeds and their mean, or points with bars at their places."""
    if rows.empty:
        return
    if "low" in rows and rows["low"].notna().any():
        # side by side, so that no bar hides another
        x = np.array([places.index(at) for at in rows["x"]]) + shift
        bars = [rows["y"] - rows["low"], rows["high"] - rows["y"]]
        ax.errorbar(x, rows["y"], yerr=bars, marker="o", ms=4, capsize=3, label=name, **look)
        ax.set_xticks(range(len(places)), places)
        return
    if "seed" in rows and rows["seed"].nunique() > 1:
        for _, of_seed in rows.groupby("seed"):
            ax.plot(of_seed["x"], of_seed["y"], lw=0.6, alpha=0.35, **look)
        rows = rows.groupby("x", sort=False, as_index=False)["y"].mean()
    marker = {"marker": "o", "ms": 3} if len(rows) < 12 else {}
    ax.plot(rows["x"], rows["y"], label=name, **look, **marker)


def _legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 4) -> None:
    found: dict[str, object] = {}
    for ax in axes:
        handles, names = ax.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    if len(found) > 1:
        # a series' mark takes the room of 8 letters
        room = int(MAX_LETTERS * figure.get_figwidth() / WIDTH)
        columns = min(columns, max(1, room // (8 + max(map(len, found)))))
        look = {"loc": "outside lower center", "ncols": columns, "markerscale": 1.5}
        figure.legend(found.values(), found.keys(), **look)


def _literal(name: str) -> str:
    """Return a name as it is to be drawn.

    A dollar would begin a formula, and what begins with an underscore is left out of a legend.
    """
    lines = [n if len(n) <= MAX_LABEL else f"{n[: MAX_LABEL - 1]}…" for n in name.split("\n")]
    shown = "\n".join(lines).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _draw_some(ax: Axes, places: np.ndarray, pictures: np.ndarray, every: int) -> None:
    """Draw every so many picture small, in its place."""
    for i in range(7, len(places), every):
        small = OffsetImage(to_ink(pictures[i]), zoom=0.5, cmap="gray", norm=None)
        ax.add_artist(AnnotationBbox(small, places[i], frameon=False, pad=0))


def _square(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return ends of both axes that have room for all points, at one scale."""
    middle = (frame[["x", "y"]].max() + frame[["x", "y"]].min()) / 2
    reach = 0.55 * np.ptp(frame[["x", "y"]], axis=0).max()
    return {f"{axis}lim": (at - reach, at + reach) for axis, at in middle.items()}


def _name_style(marked: bool) -> dict[str, str]:
    return {"color": VERMILION, "style": "italic"} if marked else {"color": BLUE}


def _draw_image(ax: Axes, image: np.ndarray) -> None:
    grey = image.shape[-1] == 1
    ax.imshow(image[..., 0] if grey else image, cmap="gray_r" if grey else None, vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
