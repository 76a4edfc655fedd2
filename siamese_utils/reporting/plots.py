"""Plot functions: each draws a tidy data frame and returns the figure.

A frame has the columns `subplot`, `series`, `x` and `y`, and if needed `seed`, `low` and `high`. A
figure shows exactly what its CSV holds.
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

# The palette of Okabe and Ito (2008) is safe for readers with colour vision deficiencies.
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
INDIGO, BROWN = "#332288", "#8C510A"  # for figures with more than six series
# In the dark theme the pages replace these colours (text, background, grid) and those above by
# their hexadecimal codes, so no other colour may have one of these codes.
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
    "svg.hashsalt": "siamese-utils",  # A fixed salt makes SVG files reproducible.
}
AS_THEY_ARE = "gray"  # value of Matplotlib's "image.cmap" with which grey images are not inverted
WIDTH = 7.2  # inches, the width of a page's text
NARROW_WIDTH = 3.6  # inches; for phones, where subplots are stacked
MAX_LABEL = 34  # characters of a line of a label
MAX_LETTERS = 118  # characters of a legend's row at full width
LINE = 22  # characters of a line of a row label in a narrow figure

GROUP_COLOURS = (BLUE, VERMILION, GREEN, PURPLE)  # of groups of series
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
MARKERS = "os^DvP*Xph"

styled = plt.rc_context(STYLE)  # As a decorator, it leaves the global style unchanged.


@styled
def lines(
    frame: pd.DataFrame,
    *,
    x: str = "",
    y: str = "",
    at: float | None = None,
    diagonal: bool = False,
    series_colours: Mapping[str, str] | None = None,
    narrow: bool = False,
    **axes_options: Any,
) -> Figure:
    """Plot y against x, one line for each series and a thin one for each seed.

    The training and the validation curve of a network share a colour. Points with `low` and `high`
    get error bars. Values of x that are text are evenly spaced.

    Args:
        frame: The points.
        x: Label of the x axis.
        y: Label of the y axis.
        at: Position of a vertical guide line.
        diagonal: Whether to draw a guide line from (0, 0) to (1, 1).
        series_colours: Series -> colour, for those that do not take the next colour of SERIES.
        narrow: Whether to draw for a phone.
        axes_options: Further properties of each subplot, as `Axes.set` takes them.
    """
    figure, axes = _create_figure(_num_subplots(frame), 2.9, narrow)
    names = list(dict.fromkeys(frame["series"]))
    colours = dict(zip(dict.fromkeys(map(_network, names)), SERIES * 2, strict=False))
    colours |= series_colours or {}
    for ax, (title, part) in zip(axes, _by_subplot(frame), strict=True):
        categories = list(dict.fromkeys(part["x"]))
        for i, name in enumerate(names):
            rows = part[part["series"] == name]
            style = {"color": colours[_network(name)], "ls": _line_style(i, names)}
            _draw_series(ax, rows, name, style, categories, shift=0.06 * i)
        if diagonal:
            ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        if at is not None:
            ax.axvline(at, color=GREY, lw=0.8, ls=":")
        ax.set(**{"title": title, "xlabel": x, "ylabel": y * _is_left(ax)} | axes_options)
        has_numbers = pd.api.types.is_numeric_dtype(frame["x"])
        if has_numbers and (frame["x"] == frame["x"].round()).all():
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_legend(figure, axes)
    return figure


@styled
def dots(
    frame: pd.DataFrame,
    *,
    x: str = "",
    one_scale: bool = False,
    groups: Mapping[str, str] | None = None,
    reference: str = "",
    at: float | None = None,
    narrow: bool = False,
) -> Figure:
    """Plot means with their intervals: a row for each series, a subplot for each part.

    Args:
        frame: Points whose x is the mean. A series is a row; the study's values have its name and
            ", 2019".
        x: Label of the x axis.
        one_scale: Whether all subplots share the x axis.
        groups: Series -> group, which has its own colour and an entry in the legend; None: all series
            have one colour.
        reference: A series whose mean is drawn as a vertical line.
        at: Position of another vertical line, such as 0 for differences.
        narrow: Whether to draw for a phone.
    """
    names = list(dict.fromkeys(name.removesuffix(", 2019") for name in frame["series"]))[::-1]
    colours = dict(zip(dict.fromkeys((groups or {}).values()), GROUP_COLOURS, strict=False))
    figure, axes = _create_figure(_num_subplots(frame), 0.9 + 0.35 * len(names), narrow)
    for ax in axes[1:] if one_scale else ():
        ax.sharex(axes[0])
    for ax, (title, part) in zip(axes, _by_subplot(frame), strict=True):
        for line in (at, *part.loc[part["series"] == reference, "x"]):
            if line is not None:
                ax.axvline(line, color=GREY, lw=1, zorder=0)
        for point in part.itertuples():
            y = names.index(point.series.removesuffix(", 2019"))
            if point.series.endswith(", 2019"):
                ax.plot(point.x, y, "D", mfc="none", mec=VERMILION, ms=7)
                continue
            bar = None
            if not np.isnan(point.low):
                bar = [[point.x - point.low], [point.high - point.x]]
            colour = colours[groups[point.series]] if groups else BLUE
            ax.errorbar(point.x, y, xerr=bar, fmt="o", color=colour, capsize=4, ms=5)
        ax.set(title=title, xlabel=x, ylim=(-0.6, len(names) - 0.4))
        ax.set_yticks(
            range(len(names)), [textwrap.fill(name, LINE) if narrow else name for name in names]
        )
        ax.tick_params(labelleft=_is_left(ax))
    for group, colour in colours.items():
        axes[0].plot([], [], "o", color=colour, label=group)
    if colours:
        _draw_legend(figure, axes)
    return figure


@styled
def histograms(
    frame: pd.DataFrame, *, thresholds: Mapping[str, float], x: str = "", narrow: bool = False
) -> Figure:
    """Plot histograms of the distances of positive ("same") and negative ("different") pairs.

    Args:
        frame: Points whose x is the left edge of a bin and y the share of pairs in it.
        thresholds: Name -> position of a vertical line.
        x: Label of the x axis.
        narrow: Whether to draw for a phone.
    """
    figure, axes = _create_figure(_num_subplots(frame), 2.8, narrow)
    for ax, (title, part) in zip(axes, _by_subplot(frame), strict=True):
        for name, color, filled in (("same", BLUE, True), ("different", VERMILION, False)):
            rows = part[part["series"] == name]
            edges = [*rows["x"], 2 * rows["x"].iloc[-1] - rows["x"].iloc[-2]]
            style = {"alpha": 0.75, "lw": 0} if filled else {"lw": 1.6}
            ax.stairs(rows["y"], edges, fill=filled, color=color, label=name, **style)
        for dashes, (rule, threshold) in zip(DASHES, thresholds.items(), strict=False):
            ax.axvline(threshold, color=GREY, ls=dashes, lw=1.2, label=rule)
        label = "share of pairs (log)" * _is_left(ax)
        ax.set(title=title, xlabel=x, ylabel=label, yscale="log")
    _draw_legend(figure, axes)
    return figure


@styled
def heat_map(frame: pd.DataFrame, *, label: str, marked: Sequence[str] = ()) -> Figure:
    """Plot a value for each two names as a heat map.

    Args:
        frame: Columns x and y (names) and `value` (0.5 to 1, or NaN for an empty cell).
        label: Label of the colour bar.
        marked: Names to print in vermilion italics.
    """
    names = list(dict.fromkeys(frame["x"]))
    values = frame.pivot(index="y", columns="x", values="value").loc[names, names].to_numpy()
    figure, ax = plt.subplots(figsize=(WIDTH, 4.6))
    image = ax.imshow(values, cmap="cividis", vmin=0.5, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            style = {"color": "white" if value < 0.75 else "black", "fontsize": 7}
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", **style)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.grid(False)
    for tick in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        tick.set(**_name_style(tick.get_text() in marked))
    figure.colorbar(image, label=label, shrink=0.8)
    return figure


@styled
def embedding_maps(
    frame: pd.DataFrame, *, pictures: np.ndarray | None = None, every: int = 20
) -> Figure:
    """Plot images as points in the plane, one series for each class, up to three maps in a row.

    Args:
        frame: The points.
        pictures: (images, height, width, channels) uint8, in the order of each subplot's rows, to
            draw some of the images at their points; None: all maps share one scale instead.
        every: Distance between the positions of two images that are drawn; the eighth is the first.
    """
    num_maps = _num_subplots(frame)
    columns = min(num_maps, 3)
    figure, axes = _create_figure(num_maps, 0.6 + 6.8 / columns, columns=columns)
    for ax, (title, part) in zip(axes, _by_subplot(frame), strict=True):
        for colour, marker, (name, rows) in zip(
            CLASS_COLOURS, MARKERS, part.groupby("series", sort=False), strict=False
        ):
            style = {"color": colour, "marker": marker, "lw": 0, "alpha": 0.6, "s": 7}
            ax.scatter(rows["x"], rows["y"], label=_escape_label(name), **style)
        if pictures is not None:
            _draw_thumbnails(ax, part[["x", "y"]].to_numpy(), pictures, every)
        else:
            ax.set(**_square_limits(frame), box_aspect=1)
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    _draw_legend(figure, axes, columns=5)
    return figure


@styled
def image_grid(images: np.ndarray, *, names: Sequence[str], marked: Sequence[str] = ()) -> Figure:
    """Draw a row of example images for each class.

    Args:
        images: (classes, examples, height, width, channels) uint8.
        names: The names of the classes.
        marked: Names to print in vermilion italics.
    """
    figure, axes = plt.subplots(
        *images.shape[:2], figsize=(WIDTH, 0.62 * len(images)), squeeze=False
    )
    for row, name in enumerate(names):
        for column in range(images.shape[1]):
            _draw_image(axes[row, column], images[row, column])
        style = {"rotation": 0, "ha": "right", "va": "center", **_name_style(name in marked)}
        axes[row, 0].set_ylabel(_escape_label(name), **style).set_fontsize(8)
    return figure


@styled
def pair_gallery(images: np.ndarray, *, titles: Sequence[str]) -> Figure:
    """Draw pairs of images, six in a row.

    Args:
        images: (pairs, 2, height, width, channels) uint8.
        titles: The title of each pair.
    """
    rows = -(-len(images) // 6)
    figure, axes = plt.subplots(rows, 6, figsize=(WIDTH, 1.05 * rows), squeeze=False)
    for ax in axes.ravel():
        ax.axis("off")
    for ax, (first, second), title in zip(axes.ravel(), images, titles, strict=False):
        white = 0 if _is_inverted(first) else 255
        gap = np.full((first.shape[0], 2, first.shape[2]), white, dtype=np.uint8)
        _draw_image(ax, np.concatenate([first, gap, second], axis=1))
        ax.set_title(_escape_label(title), fontsize=7, loc="center")
    return figure


@styled
def two_towers(pairs: Mapping[str, Mapping[str, Any]], *, narrow: bool = False) -> Figure:
    """Draw how a Siamese network compares pairs: images, encoder, embeddings and distance.

    Args:
        pairs: The answer in words -> `images` (2, height, width, channels), `embeddings`
            (2, dimensions) and `distance`.
        narrow: Whether to draw for a phone.
    """
    # Each pair has two rows, and an empty one below.
    heights = [1, 1, 0.3] * len(pairs)
    figure = plt.figure(figsize=(NARROW_WIDTH if narrow else WIDTH, 0.85 * len(pairs)))
    widths = (1, 2.6, 3, 2.8) if narrow else (1, 3, 9, 3.2)
    grid = figure.add_gridspec(len(heights), 4, width_ratios=widths, height_ratios=heights)
    highest = max(np.max(pair["embeddings"]) for pair in pairs.values())
    for i, (answer, pair) in enumerate(pairs.items()):
        answer_ax = _hide_axes(figure.add_subplot(grid[3 * i : 3 * i + 2, 3]))
        answer_ax.plot([0.05, 0.15, 0.15, 0.05], [0.8, 0.8, 0.2, 0.2], color=GREY, lw=1)
        words = f"distance {pair['distance']:.2f}:\n{answer}"
        size = 8 if narrow else 10
        answer_ax.text(0.3, 0.5, words, color=SERIES[i], fontsize=size, va="center")
        for row, image, embedding in zip(
            (3 * i, 3 * i + 1), pair["images"], pair["embeddings"], strict=True
        ):
            _draw_image(figure.add_subplot(grid[row, 0]), image)
            embedding_ax = _hide_axes(figure.add_subplot(grid[row, 2]))
            style = {"color": INK, "lw": 0.8 if narrow else 1.2}
            embedding_ax.vlines(range(len(embedding)), 0, embedding, **style)
            embedding_ax.set(ylim=(0, highest), xlim=(-1, len(embedding)))
    _draw_encoder(_hide_axes(figure.add_subplot(grid[:-1, 1])), heights[:-1], 7 if narrow else 9)
    return figure


@styled
def split_diagram(sizes: Mapping[str, int], *, files: Mapping[str, int]) -> Figure:
    """Draw how the published files are combined and divided (the study's Figure 1).

    Args:
        sizes: Number of images of the sets `train`, `seen`, `unseen` and `all`.
        files: Number of images of each published file.
    """
    total = sum(files.values())
    boxes = {
        "combined": (0.33, 0.5, f"x_combine, y_combine\n{total:,} images"),
        "seen classes": (0.58, 0.76, f"six seen classes\n{sizes['train'] + sizes['seen']:,}"),
        "train": (0.86, 0.92, f"x_train: 80 %\n{sizes['train']:,}"),
        "seen": (0.86, 0.66, f"x_test1: 20 %\n{sizes['seen']:,}"),
        "all": (0.86, 0.4, f"x_test3: x_test1 and\nx_only_test2, {sizes['all']:,}"),
        "unseen": (0.58, 0.14, f"x_only_test2: four\nunseen classes, {sizes['unseen']:,}"),
    }
    arrows = [("combined", "seen classes"), ("combined", "unseen"), ("seen classes", "train")]
    arrows += [("seen classes", "seen"), ("seen", "all"), ("unseen", "all")]
    for i, (name, number) in enumerate(files.items()):
        boxes[name] = (0.1, 0.5 if len(files) == 1 else 0.72 - 0.44 * i, f"{name}\n{number:,}")
        arrows.append((name, "combined"))
    figure, ax = plt.subplots(figsize=(WIDTH, 2.6))
    _hide_axes(ax)
    for start, end in arrows:
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        style = {"arrowstyle": "->", "color": GREY, "shrinkA": 34, "shrinkB": 42}
        if x0 == x1:  # one box above the other
            style |= {"shrinkA": 14, "shrinkB": 14}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=style)
    for name, (x, y, words) in boxes.items():
        colour = VERMILION if name in ("unseen", "all") else BLUE if name in sizes else GREY
        frame = {"boxstyle": "round,pad=0.4", "facecolor": PAPER, "edgecolor": colour}
        ax.text(x, y, words, ha="center", va="center", fontsize=8, bbox=frame)
    return figure


WITH_NARROW_VARIANT = lines, dots, histograms, two_towers  # have `narrow`


def to_ink(images: np.ndarray) -> np.ndarray:
    """Return images as they are displayed.

    Grey images are inverted, since the clothes and the digits of this report are white on black.
    A notebook on other images sets `plt.rcParams["image.cmap"]` to AS_THEY_ARE.

    Args:
        images: (..., height, width, channels) uint8.

    Returns:
        (..., height, width) for one channel, otherwise the images.
    """
    if _is_inverted(images):
        return 255 - images[..., 0]
    return images[..., 0] if images.shape[-1] == 1 else images


def describe_data(data: pd.DataFrame) -> str:
    """Return an alt text for a frame: its own, or the last or only value of each series."""
    if "alt" in data.attrs:
        return data.attrs["alt"]
    if "value" in data:
        lowest = data.nsmallest(3, "value").drop_duplicates("value")
        pairs = "; ".join(f"{row.x} and {row.y}: {row.value:.3g}" for row in lowest.itertuples())
        return f"A value for each two of {data['x'].nunique()} classes. Lowest: {pairs}."
    parts = []
    for names, rows in data.dropna(subset="x").groupby(["subplot", "series"], sort=False):
        values = rows[rows["x"] == rows["x"].iloc[-1]]["y"] if "y" in rows else rows["x"]
        parts.append(f"{', '.join(filter(None, names))}: {values.mean():.4g}")
    return f"{'Where the lines end. ' if 'y' in data else ''}{'; '.join(parts)}."


def _create_figure(
    num_subplots: int, height: float, narrow: bool = False, columns: int = 0
) -> tuple[Figure, np.ndarray]:
    """Create a figure and its axes.

    Args:
        num_subplots: Number of subplots.
        height: Height of a row in inches.
        narrow: Whether to stack the subplots.
        columns: Number of columns; 0: all subplots are in one row.
    """
    columns = 1 if narrow else columns or num_subplots
    rows = -(-num_subplots // columns)
    size = NARROW_WIDTH if narrow else WIDTH, height * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.ravel()[num_subplots:]:
        ax.axis("off")
    return figure, axes.ravel()[:num_subplots]


def _num_subplots(frame: pd.DataFrame) -> int:
    return frame["subplot"].nunique()


def _by_subplot(frame: pd.DataFrame) -> Any:
    return frame.groupby("subplot", sort=False)


def _is_left(ax: Axes) -> bool:
    return ax.get_subplotspec().is_first_col()


def _hide_axes(ax: Axes) -> Axes:
    """Hide the frame and ticks, and return the axes with limits 0 and 1."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    return ax


def _network(series: str) -> str:
    return series.removesuffix(", training").removesuffix(", validation")


def _line_style(i: int, names: Sequence[str]) -> object:
    """Return the line style of series i.

    If there are training and validation curves, the latter are dashed. Otherwise each series has
    its own style.
    """
    if all(any(part in name for name in names) for part in ("validation", "training")):
        return "--" if "validation" in names[i] else "-"
    return DASHES[i % len(DASHES)]


def _draw_series(
    ax: Axes,
    rows: pd.DataFrame,
    name: str,
    style: dict[str, object],
    categories: Sequence[object],
    shift: float,
) -> None:
    """Draw a series: the mean and a thin line for each seed, or points with error bars.

    Args:
        ax: The axes.
        rows: The points of the series.
        name: Its name in the legend.
        style: Its colour and line style.
        categories: The distinct x of the subplot, to place points with error bars.
        shift: Offset of points with error bars, so that the bars of two series do not overlap.
    """
    if rows.empty:
        return
    if "low" in rows and rows["low"].notna().any():
        x = np.array([categories.index(category) for category in rows["x"]]) + shift
        bars = [rows["y"] - rows["low"], rows["high"] - rows["y"]]
        ax.errorbar(x, rows["y"], yerr=bars, marker="o", ms=4, capsize=3, label=name, **style)
        ax.set_xticks(range(len(categories)), categories)
        return
    if "seed" in rows and rows["seed"].nunique() > 1:
        for _, seed_rows in rows.groupby("seed"):
            ax.plot(seed_rows["x"], seed_rows["y"], lw=0.6, alpha=0.35, **style)
        rows = rows.groupby("x", sort=False, as_index=False)["y"].mean()
    marker = {"marker": "o", "ms": 3} if len(rows) < 12 else {}
    ax.plot(rows["x"], rows["y"], label=name, **style, **marker)


def _draw_legend(figure: Figure, axes: Sequence[Axes], columns: int = 4) -> None:
    """Draw one legend for all axes below the figure, with at most this number of columns."""
    entries: dict[str, object] = {}
    for ax in axes:
        handles, names = ax.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    if len(entries) > 1:
        # The handle of an entry is as wide as 8 characters.
        max_characters = int(MAX_LETTERS * figure.get_figwidth() / WIDTH)
        columns = min(columns, max(1, max_characters // (8 + max(map(len, entries)))))
        style = {"loc": "outside lower center", "ncols": columns, "markerscale": 1.5}
        figure.legend(entries.values(), entries.keys(), **style)


def _escape_label(label: str) -> str:
    """Return a label so that Matplotlib draws it literally, with long lines cut.

    Matplotlib reads a dollar as the start of a formula, and omits a label that begins with an
    underscore from the legend.
    """
    lines = [n if len(n) <= MAX_LABEL else f"{n[: MAX_LABEL - 1]}…" for n in label.split("\n")]
    escaped = "\n".join(lines).replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def _draw_thumbnails(ax: Axes, points: np.ndarray, pictures: np.ndarray, every: int) -> None:
    for i in range(7, len(points), every):
        thumbnail = OffsetImage(to_ink(pictures[i]), zoom=0.5, cmap="gray", norm=None)
        ax.add_artist(AnnotationBbox(thumbnail, points[i], frameon=False, pad=0))


def _square_limits(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return limits of equal length for both axes that contain all points."""
    points = frame[["x", "y"]]
    middle = (points.max() + points.min()) / 2
    radius = 0.55 * np.ptp(points, axis=0).max()
    return {f"{axis}lim": (at - radius, at + radius) for axis, at in middle.items()}


def _name_style(marked: bool) -> dict[str, str]:
    return {"color": VERMILION, "style": "italic"} if marked else {"color": BLUE}


def _is_inverted(images: np.ndarray) -> bool:
    """Return whether images are drawn inverted: (..., channels)."""
    return images.shape[-1] == 1 and plt.rcParams["image.cmap"] != AS_THEY_ARE


def _draw_image(ax: Axes, image: np.ndarray) -> None:
    values = image[..., 0] if image.shape[-1] == 1 else image
    ax.imshow(values, cmap="gray_r" if _is_inverted(image) else "gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _draw_encoder(ax: Axes, heights: Sequence[float], size: int) -> None:
    """Draw the shared encoder as a box, with an arrow into and out of it for each image.

    Args:
        ax: The axes.
        heights: The heights of the rows; a row with an image has height 1.
        size: The font size.
    """
    total = sum(heights)
    ax.set_ylim(total, 0)
    ax.add_patch(plt.Rectangle((0.27, 0.05), 0.46, total - 0.1, fc=PAPER, ec=GREY))
    ax.text(0.5, total / 2, "one\nencoder", ha="center", va="center", fontsize=size)
    style = {"arrowstyle": "->", "color": GREY}
    for top, height in zip(np.cumsum([0, *heights]), heights, strict=False):
        for start in (0, 0.75) if height == 1 else ():
            ax.annotate("", (start + 0.25, top + 0.5), (start, top + 0.5), arrowprops=style)
