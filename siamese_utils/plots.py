"""Arrays in, figures out: each function draws one figure and returns it."""

from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator, MaxNLocator

from siamese_utils import evaluation
from siamese_utils.evaluation import Interval
from siamese_utils.pairs import Pairs
from siamese_utils.verification import Reliability

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
WIDTH = 7.2  # inches: the width of a page's text


styled = plt.rc_context(STYLE)  # a decorator: nothing outside a drawing function is changed


@styled
def new_figure(rows: int = 1, columns: int = 1, height: float = 2.8) -> tuple[Figure, np.ndarray]:
    """Return a figure of the page's width and its axes, (rows, columns); height in inches."""
    return plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False)


@styled
def image_grid(images: np.ndarray, names: Sequence[str], shaded: Sequence[bool]) -> Figure:
    """Draw a row of example images per class: images (classes, examples, h, w, c), a name each.

    The names of `shaded` rows stand in vermilion and italics.
    """
    num_classes, num_examples = images.shape[:2]
    figure, axes = new_figure(num_classes, num_examples, height=0.62 * num_classes)
    for row, name, mark in zip(range(num_classes), names, shaded, strict=True):
        for column in range(num_examples):
            _draw_image(axes[row, column], images[row, column])
        style = {"color": VERMILION, "style": "italic"} if mark else {"color": BLUE}
        label = axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", **style)
        label.set_fontsize(8)
    return figure


@styled
def pair_gallery(
    images: np.ndarray, pairs: Pairs, chosen: np.ndarray, titles: Sequence[str]
) -> Figure:
    """Draw the pairs at the positions `chosen`, six a row, each under its title."""
    rows = -(-len(chosen) // 6)
    figure, axes = new_figure(rows, 6, height=1.05 * rows)
    for ax in axes.ravel():
        ax.axis("off")
    for ax, position, title in zip(axes.ravel(), chosen, titles, strict=False):
        a, b = images[pairs.first[position]], images[pairs.second[position]]
        blank = 0 if a.shape[2] == 1 else 255  # white: a single channel is drawn as ink
        gap = np.full((a.shape[0], 2, a.shape[2]), blank, dtype=np.uint8)
        _draw_image(ax, np.concatenate([a, gap, b], axis=1))
        ax.set_title(title, fontsize=7, loc="center")
    return figure


@styled
def loss_curves(panels: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Draw the loss against the distance: panel -> (distance, loss of same, loss of different pairs)."""
    figure, axes = new_figure(1, len(panels), height=2.6)
    for ax, (name, (distance, same, different)) in zip(axes[0], panels.items(), strict=True):
        ax.plot(distance, same, color=BLUE, label="same class (y = 0)")
        ax.plot(distance, different, color=VERMILION, ls="--", label="different classes (y = 1)")
        ax.set(title=name, xlabel="distance D", ylabel="loss")
        ax.legend()
    return figure


@styled
def learning_curves(
    histories: dict[str, list[dict[str, list[float]]]], measures: dict[str, str]
) -> Figure:
    """Draw measures against the epoch: training solid, validation dashed, a thin line a seed.

    histories: name -> one history per seed; measures: key of a history -> label of its axis.
    """
    figure, axes = new_figure(1, len(measures), height=2.9)
    for ax, (measure, label) in zip(axes[0], measures.items(), strict=True):
        for color, (name, runs) in zip(SERIES, histories.items(), strict=False):
            _draw_curves(ax, [run[measure] for run in runs], color, "-", f"{name}, training")
            validation = [run[f"val_{measure}"] for run in runs]
            _draw_curves(ax, validation, color, "--", f"{name}, validation")
        ax.set(xlabel="epoch", ylabel=label, title=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, -1].legend()
    return figure


@styled
def validation_curves(histories: dict[str, list[dict[str, list[float]]]]) -> Figure:
    """Draw the validation accuracy and loss of several trainings against the epoch."""
    figure, axes = new_figure(1, 2, height=3.2)
    styles = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
    measures = {"val_accuracy": "validation accuracy", "val_contrastive": "validation loss"}
    for ax, (measure, label) in zip(axes[0], measures.items(), strict=True):
        for color, style, (name, runs) in zip(SERIES, styles, histories.items(), strict=False):
            _draw_curves(ax, [run[measure] for run in runs], color, style, name)
        ax.set(xlabel="epoch", ylabel=label, title=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 1].legend()
    return figure


@styled
def distance_histograms(
    sets: dict[str, tuple[np.ndarray, np.ndarray]], thresholds: dict[str, float]
) -> Figure:
    """Draw how the distances of same and different pairs spread: set -> (distance, different)."""
    figure, axes = new_figure(1, len(sets), height=2.8)
    for ax, (name, (distance, different)) in zip(axes[0], sets.items(), strict=True):
        bins = np.linspace(0, np.quantile(distance, 0.999), 51)
        share = {"weights": np.full((~different).sum(), 1 / (~different).sum())}
        ax.hist(distance[~different], bins, color=BLUE, alpha=0.75, label="same", **share)
        share = {"weights": np.full(different.sum(), 1 / different.sum())}
        ax.hist(
            distance[different], bins, color=VERMILION, histtype="step", label="different", **share
        )
        for style, (rule, threshold) in zip(("-", "--", ":"), thresholds.items(), strict=False):
            ax.axvline(threshold, color=GREY, ls=style, lw=1.2, label=rule)
        ax.set(title=name, xlabel="distance D", yscale="log")
    axes[0, 0].set_ylabel("share of pairs (log)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def roc_curves(panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Draw ROC curves, a panel each: panel -> curve -> (distance, different)."""
    figure, axes = new_figure(1, len(panels), height=2.9)
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for color, style, (name, pairs) in zip(
            SERIES, ("-", "--", "-."), curves.items(), strict=False
        ):
            same_beyond, different_beyond = evaluation.roc_points(*pairs)
            keep = np.linspace(0, len(same_beyond) - 1, min(len(same_beyond), 400)).astype(int)
            ax.plot(same_beyond[keep], different_beyond[keep], color=color, ls=style, label=name)
        ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        ax.set(title=title, xlabel="same pairs called different", aspect="equal")
        ax.legend(loc="lower right", fontsize=7)
    axes[0, 0].set_ylabel("different pairs called different")
    return figure


@styled
def accuracy_by_threshold(
    panels: dict[str, dict[str, list[np.ndarray]]], relative: np.ndarray
) -> Figure:
    """Draw accuracy against the threshold in units of the margin: panel -> curve -> one array a seed."""
    figure, axes = new_figure(1, len(panels), height=2.9)
    styles = ("-", "--", "-.", ":")
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for color, style, (name, values) in zip(SERIES, styles, curves.items(), strict=False):
            ax.plot(relative, 100 * np.mean(values, axis=0), color=color, ls=style, label=name)
        ax.axvline(0.5, color=GREY, lw=0.8, ls=":")
        ax.set(title=title, xlabel="threshold / margin")
    axes[0, 0].set_ylabel("accuracy (%)")
    axes[0, -1].legend(fontsize=7)
    return figure


@styled
def intervals(
    ours: dict[str, dict[str, Interval]],
    label: str,
    study: dict[str, dict[str, float]] | None = None,
    one_scale: bool = False,
) -> Figure:
    """Draw means with 95 % intervals, and figures of 2019 as open diamonds.

    ours: panel -> row -> interval; label: of the axis; study: as ours with one figure, where there
    is one; one_scale: whether the panels are to be compared with each other too.
    """
    rows = list(next(iter(ours.values())))
    figure, axes = new_figure(1, len(ours), height=0.9 + 0.35 * len(rows))
    for ax in axes[0, 1:] if one_scale else ():
        ax.sharex(axes[0, 0])
    for ax, (panel, values) in zip(axes[0], ours.items(), strict=True):
        for y, row in enumerate(reversed(rows)):
            found = values[row]
            half_width = None if np.isnan(found.low) else found.half_width  # none: a bare dot
            look = {"fmt": "o", "color": BLUE, "capsize": 4, "ms": 5, "label": row}
            ax.errorbar(found.mean, y, xerr=half_width, **look)
            if row in (study or {}).get(panel, {}):
                diamond = {"mfc": "none", "mec": VERMILION, "ms": 7, "label": f"{row}, 2019"}
                ax.plot(study[panel][row], y, "D", **diamond)
        ax.set(title=panel, xlabel=label, ylim=(-0.6, len(rows) - 0.4))
        ax.set_yticks(range(len(rows)), list(reversed(rows)))
        ax.tick_params(labelleft=ax is axes[0, 0])
    return figure


@styled
def reliability_diagrams(panels: dict[str, dict[str, Reliability]]) -> Figure:
    """Draw the observed share of different pairs against the stated one: panel -> curve -> found."""
    figure, axes = new_figure(1, len(panels), height=2.9)
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        for color, marker, (name, found) in zip(SERIES, "os^D", curves.items(), strict=False):
            ax.plot(found.stated, found.observed, color=color, marker=marker, ms=4, label=name)
        ax.set(title=title, xlabel="stated: D / m, at most 1", aspect="equal", ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel("observed share of different pairs")
    axes[0, 0].legend(loc="upper left", fontsize=7)
    return figure


@styled
def class_heat_map(
    values: np.ndarray, names: Sequence[str], unseen: Sequence[bool], label: str
) -> Figure:
    """Draw a figure for each two classes: values (classes, classes), NaN left white.

    The names of unseen classes stand in vermilion and italics.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 4.6))
    image = axes.imshow(values, cmap="cividis", vmin=0.5, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            color = "white" if value < 0.75 else "black"
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=7
            )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(False)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, mark in zip(ticks, unseen, strict=True):
            tick.set(color=VERMILION if mark else BLUE, style="italic" if mark else "normal")
    figure.colorbar(image, label=label, shrink=0.8)
    return figure


@styled
def over_epochs(panels: dict[str, dict[str, np.ndarray]], epochs: Sequence[int]) -> Figure:
    """Draw values at some epochs: panel -> curve -> (seeds, epochs), a thin line a seed."""
    figure, axes = new_figure(1, len(panels), height=2.7)
    places = np.arange(len(epochs))  # evenly spaced: the first epochs change most
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for color, style, (name, values) in zip(SERIES, ("-", "--"), curves.items(), strict=False):
            _draw_curves(ax, values, color, style, name, places, marker="o", ms=3)
        ax.set(title=title, xlabel="epochs trained")
        ax.set_xticks(places, epochs)
    axes[0, 0].legend()
    return figure


@styled
def by_number(
    panels: dict[str, dict[str, np.ndarray]], numbers: Sequence[int], label: str
) -> Figure:
    """Draw means with 95 % intervals against a number: panel -> curve -> (seeds, numbers)."""
    figure, axes = new_figure(1, len(panels), height=3.0)
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for i, (name, values) in enumerate(curves.items()):
            found = [evaluation.interval(column) for column in values.T]
            ax.errorbar(
                np.arange(len(numbers)) + 0.06 * i,  # side by side, so that no bar hides another
                [one.mean for one in found],
                yerr=None if len(values) == 1 else [one.half_width for one in found],
                color=SERIES[i],
                fmt="os^Dv"[i] + "-",
                ms=4,
                capsize=3,
                label=name,
            )
        ax.set(title=title, xlabel=label)
        ax.set_xticks(range(len(numbers)), numbers)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


@styled
def spectra(panels: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw shares of variance against the direction's rank: panel -> curve -> (directions,)."""
    figure, axes = new_figure(1, len(panels), height=2.7)
    for ax, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for color, style, (name, shares) in zip(
            SERIES, ("-", "--", "-."), curves.items(), strict=False
        ):
            ax.plot(np.arange(1, len(shares) + 1), shares, color=color, ls=style, label=name)
        ax.set(title=title, xlabel="direction", yscale="log", ylim=(1e-5, 1))
    axes[0, 0].set_ylabel("share of the variance (log)")
    axes[0, -1].legend()
    return figure


@styled
def lottery(panels: dict[str, np.ndarray], own: dict[str, np.ndarray], label: str) -> Figure:
    """Draw one dot for each choice of classes, and above them one for each seed of the study's choice.

    panels: title -> (choices,); own: title -> (seeds,).
    """
    figure, axes = new_figure(1, len(panels), height=2.2)
    for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
        kinds = (("other choices", values, BLUE, "o"), ("the study's", own[title], VERMILION, "D"))
        for y, (name, dots, color, marker) in enumerate(kinds):
            spread = np.linspace(-0.28, 0.28, len(dots)) if len(dots) > 1 else np.zeros(1)
            look = {"ms": 3.5, "color": color, "mfc": "none", "label": f"_{name}"}
            ax.plot(np.sort(dots), y + spread, marker, **look)
        ax.set(title=title, xlabel=label, ylim=(-0.6, 1.6))
        ax.set_yticks([0, 1], [name for name, *_ in kinds])
        ax.tick_params(labelleft=ax is axes[0, 0])
    return figure


@styled
def embedding_maps(
    panels: dict[str, np.ndarray],
    labels: np.ndarray,
    class_names: dict[int, str],
    images: np.ndarray,
    thumbnails: np.ndarray,
) -> Figure:
    """Draw images as dots by class, some of them as small pictures.

    panels: title -> (images, 2); labels: (images,); class_names: of the classes to name, in order;
    images: (images, h, w, c) uint8; thumbnails: the positions of those drawn as pictures.
    """
    figure, axes = new_figure(1, len(panels), height=4.0)
    colors = (*SERIES, GREY, INK, BROWN, INDIGO)
    for ax, (title, places) in zip(axes[0], panels.items(), strict=True):
        for color, marker, (c, name) in zip(
            colors, "os^DvP*Xph", class_names.items(), strict=False
        ):
            chosen = labels == c
            ax.scatter(
                *places[chosen].T, s=7, color=color, marker=marker, lw=0, alpha=0.6, label=name
            )
        for i in thumbnails:
            picture = OffsetImage(255 - images[i, ..., 0], zoom=0.5, cmap="gray", norm=None)
            ax.add_artist(AnnotationBbox(picture, places[i], frameon=False, pad=0))
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, markerscale=2)
    return figure


def data_of(figure: Figure) -> pd.DataFrame:
    """Return the points that a figure shows: its panel, its series, x, y, and the ends of bars.

    What has no name in the figure, such as a guide line or a picture, is left out.
    """
    rows = []
    for ax in figure.axes:
        found = [*_points_of_lines(ax), *_points_of_areas(ax), *_cells_of_heat_map(ax)]
        names = {"panel": ax.get_title(loc="left")}
        rows += [
            names | {"series": label.removeprefix("_")} | values
            for label, values in found
            if not label.startswith("_child")
        ]
    return pd.DataFrame(rows).replace("", np.nan).dropna(axis="columns", how="all")


def _points_of_lines(ax: Axes) -> Iterator[tuple[str, dict[str, object]]]:
    bars = [box for box in ax.containers if isinstance(box, ErrorbarContainer)]
    parts = [part for box in bars for part in (box[0], *box[1])]
    for line in ax.lines:
        if line not in parts and line.get_transform() == ax.transData:  # no guide line
            for x, y in zip(*line.get_data(), strict=True):
                yield line.get_label(), _place(ax, x, y)
    for box in bars:
        ends = [segment for lines in box[2] for segment in lines.get_segments()]
        for i, (x, y) in enumerate(zip(*box[0].get_data(), strict=True)):
            axis = 0 if box.has_xerr else 1
            low, high = ends[i][:, axis] if ends else (np.nan, np.nan)
            yield box.get_label(), _place(ax, x, y) | {"low": low, "high": high}


def _points_of_areas(ax: Axes) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the bars and outlines of histograms, by their left edges, and the dots of scatters."""
    for box in ax.containers:
        if isinstance(box, BarContainer):
            for bar in box.patches:
                yield box.patches[0].get_label(), {"x": bar.get_x(), "y": bar.get_height()}
    for patch in ax.patches:
        if isinstance(patch, Polygon):
            for x, y in patch.get_xy()[1:-1:2]:
                yield patch.get_label(), {"x": x, "y": y}
    for dots in ax.collections:
        if isinstance(dots, PathCollection):
            for x, y in dots.get_offsets():
                yield dots.get_label(), {"x": x, "y": y}


def _cells_of_heat_map(ax: Axes) -> Iterator[tuple[str, dict[str, object]]]:
    columns, rows = (
        [tick.get_text() for tick in axis.get_ticklabels()] for axis in (ax.xaxis, ax.yaxis)
    )
    for image in ax.images:
        values = np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)
        if values.shape == (len(rows), len(columns)):  # else a picture, or a bar of colours
            for (row, column), value in np.ndenumerate(values):
                yield rows[row], {"x": columns[column], "y": value}


def _place(ax: Axes, x: float, y: float) -> dict[str, object]:
    """Return a point; on an axis whose ticks have names, the nearest tick's name."""
    named = {"x": x, "y": y}
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator) and len(axis.get_majorticklocs()):
            nearest = int(np.abs(axis.get_majorticklocs() - named[name]).argmin())
            labels = axis.get_major_formatter().format_ticks(axis.get_majorticklocs())
            named[name] = labels[nearest] or named[name]
    return named


def _draw_image(ax: Axes, image: np.ndarray) -> None:
    grey = image.shape[-1] == 1
    ax.imshow(image[..., 0] if grey else image, cmap="gray_r" if grey else None, vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _draw_curves(
    ax: Axes,
    runs: Sequence[Sequence[float]],
    color: str,
    style: object,
    label: str,
    places: np.ndarray | None = None,
    **of_mean: object,
) -> None:
    """Draw a thin line a run and their mean; some may have stopped before others.

    places: of the values on the axis; None: 1, 2, ...
    """
    length = max(map(len, runs))
    padded = np.array([[*run, *[np.nan] * (length - len(run))] for run in runs])
    places = np.arange(1, length + 1) if places is None else places
    for seed, run in enumerate(padded if len(runs) > 1 else ()):
        thin = {"lw": 0.6, "alpha": 0.35, "label": f"_{label}, seed {seed}"}  # not in the legend
        ax.plot(places, run, color=color, ls=style, **thin)
    ax.plot(places, np.nanmean(padded, axis=0), color=color, ls=style, label=label, **of_mean)
