import inspect
import io
from dataclasses import asdict, replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from IPython.display import HTML
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.text import Annotation

from siamese_utils.data.dataset import SETS, TEST_SETS
from siamese_utils.evaluation import calibration, metrics, pair_distances
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.reporting import (
    figures,
    interactive_figures,
    plot_data,
    plots,
    published_results,
    show,
    tables,
)
from siamese_utils.reporting import results as result_files
from siamese_utils.training import replication
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.tasks import TASKS

NAN = float("nan")


@pytest.fixture(autouse=True)
def closed():
    """No figure of one test is there for the next."""
    yield
    plt.close("all")


def frame_of(rows, *columns):
    return pd.DataFrame(rows, columns=["subplot", "series", *columns])


SEEDS = frame_of(
    [("loss", f"base, {part}", epoch, seed, epoch + seed + shift)
     for part, shift in (("training", 0), ("validation", 5)) for seed in (0, 1) for epoch in (1, 2)],
    "x", "seed", "y",
)  # fmt: skip
BARS = frame_of(
    [("AUC", "base", "5", 0.5, 0.4, 0.7), ("AUC", "base", "50", 0.75, 0.7, 0.8),
     ("AUC", "raw pixels", "50", 0.25, 0.125, 0.375)],
    "x", "y", "low", "high",
)  # fmt: skip
MEANS = frame_of(
    [("seen", "base", 0.9, 0.8, 1.0), ("all", "base", 0.7, NAN, NAN),
     ("seen", "raw pixels", 0.5, 0.5, 0.5), ("seen", "base, 2019", 0.95, NAN, NAN)],
    "x", "low", "high",
)  # fmt: skip
SHARES = frame_of(
    [("seen", name, x, y) for name, of in (("same", (0.75, 0.25)), ("different", (0, 1)))
     for x, y in zip((0, 0.5), of, strict=True)],
    "x", "y",
)  # fmt: skip
AREAS = pd.DataFrame(
    [("coat", "coat", NAN), ("coat", "shoe", 0.9), ("shoe", "coat", 0.9), ("shoe", "shoe", NAN)],
    columns=["x", "y", "value"],
)
IMAGES_OF_PAIR = np.random.default_rng(1).integers(0, 255, (2, 8, 8, 1), dtype=np.uint8)
TOWERS = {
    "near": {"images": IMAGES_OF_PAIR, "embeddings": [[0, 1, 2], [0, 1, 1]], "distance": 1.0},
    "far": {"images": IMAGES_OF_PAIR, "embeddings": [[3, 0, 0], [0, 0, 4]], "distance": 5.0},
}
PLACES = frame_of([("PCA", f"{i % 2}", i, -i) for i in range(30)], "x", "y")
SIZES = {"train": 33_600, "seen": 8400, "unseen": 28_000, "all": 36_400}
FILES = {"x_train, y_train": 60_000, "x_test, y_test": 10_000}
IMAGES = np.random.default_rng(0).integers(0, 255, (2, 3, 8, 8, 1), dtype=np.uint8)

DRAWN = {
    "lines": lambda: plots.lines(SEEDS),
    "dots": lambda: plots.dots(MEANS),
    "histograms": lambda: plots.histograms(SHARES, thresholds={"0.5": 0.5}),
    "heat_map": lambda: plots.heat_map(AREAS, label="AUC"),
    "embedding_maps": lambda: plots.embedding_maps(
        PLACES, pictures=np.repeat(IMAGES[0], 10, axis=0)
    ),
    "image_grid": lambda: plots.image_grid(IMAGES, names=["a", "b"]),
    "pair_gallery": lambda: plots.pair_gallery(IMAGES[:, :2], titles=["a", "b"]),
    "two_towers": lambda: plots.two_towers(TOWERS),
    "split_diagram": lambda: plots.split_diagram(SIZES, files=FILES),
}


def functions_of(module):
    """The functions that a module offers, and not those it takes from others, by name."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return {n: f for n, f in functions if f.__module__ == module.__name__ and not n.startswith("_")}


@pytest.mark.parametrize("name", DRAWN)
def test_every_plot_function_draws(name):
    before = dict(plt.rcParams)
    figure = DRAWN[name]()
    figure.canvas.draw()
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() == plots.WIDTH
    assert dict(plt.rcParams) == before  # nothing outside is changed


STACKED = [plot for plot in plots.WITH_NARROW_VARIANT if plot is not plots.two_towers]


@pytest.mark.parametrize("plot", STACKED, ids=lambda plot: plot.__name__)
def test_on_a_phone_subplots_stand_below_each_other(plot):
    data = {"lines": SEEDS, "dots": MEANS, "histograms": SHARES}[plot.__name__]
    options = {"thresholds": {"0.5": 0.5}} if plot is plots.histograms else {}
    parts = [data.assign(subplot=name) for name in ("first", "second")]
    wide, narrow = (plot(pd.concat(parts), narrow=n, **options) for n in (False, True))
    assert narrow.get_figwidth() == plots.NARROW_WIDTH == wide.get_figwidth() / 2
    assert narrow.get_figheight() == 2 * wide.get_figheight()
    assert [ax.get_title("left") for ax in narrow.axes] == ["first", "second"]
    for figure, columns in ((wide, {0, 1}), (narrow, {0})):
        figure.canvas.draw()
        assert {ax.get_subplotspec().colspan.start for ax in figure.axes} == columns
    labels = [ax.get_ylabel() for ax in narrow.axes]
    assert labels[0] == labels[1] == wide.axes[0].get_ylabel()
    assert wide.axes[1].get_ylabel() == ""


def test_no_plot_function_is_left_out():
    assert set(DRAWN) == set(functions_of(plots)) - {"describe_data", "to_ink"}


def test_what_can_be_drawn_for_a_phone_is():
    able = {
        n for n, f in functions_of(plots).items() if "narrow" in inspect.signature(f).parameters
    }
    assert able == {plot.__name__ for plot in plots.WITH_NARROW_VARIANT}


def lines_of(ax, named):
    """The points of the lines of an axes, those with a name or those without."""
    return [
        line.get_xydata().tolist()
        for line in ax.get_lines()
        if line.get_label().startswith("_") != named
    ]


def test_a_line_is_the_mean_of_thin_ones_for_each_seed():
    [ax] = plots.lines(SEEDS, x="epoch", y="loss").axes
    assert lines_of(ax, named=True) == [[[1, 1.5], [2, 2.5]], [[1, 6.5], [2, 7.5]]]
    training = [[[1, 1], [2, 2]], [[1, 2], [2, 3]]]
    validation = [[[1, 6], [2, 7]], [[1, 7], [2, 8]]]
    assert lines_of(ax, named=False) == training + validation
    widths = {line.get_label().startswith("_"): line.get_linewidth() for line in ax.get_lines()}
    assert widths[True] < widths[False]
    assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left")] == ["epoch", "loss", "loss"]
    assert all(float(at).is_integer() for at in ax.get_xticks())  # there is no half an epoch


def test_where_a_seed_ends_sooner_the_mean_is_of_the_others():
    longer = pd.concat([SEEDS, frame_of([("loss", "base, training", 3, 0, 9)], *SEEDS.columns[2:])])
    [ax] = plots.lines(longer).axes
    assert lines_of(ax, named=True)[0] == [[1, 1.5], [2, 2.5], [3, 9]]


def test_one_seed_has_no_thin_line():
    [ax] = plots.lines(SEEDS[SEEDS["seed"] == 0]).axes
    assert lines_of(ax, named=False) == []
    assert lines_of(ax, named=True) == [[[1, 1], [2, 2]], [[1, 6], [2, 7]]]


def test_a_curve_with_upright_steps_is_drawn_as_it_is():
    points = [[1, 1], [0.5, 1], [0.5, 0.5], [0, 0.5], [0, 0]]
    [ax] = plots.lines(frame_of([("seen", "base", *p) for p in points], "x", "y")).axes
    assert lines_of(ax, named=True) == [points]


def test_validation_is_dashed_in_the_colour_of_its_training():
    more = pd.concat([SEEDS, SEEDS.assign(series=SEEDS["series"].str.replace("base", "complex"))])
    [ax] = plots.lines(more).axes
    named = {line.get_label(): line for line in ax.get_lines() if line.get_label()[0] != "_"}
    dashes = {name: line.get_linestyle() for name, line in named.items()}
    assert dashes == {
        f"{model}, {part}": dash
        for model in ("base", "complex")
        for part, dash in (("training", "-"), ("validation", "--"))
    }
    colours = {name: line.get_color() for name, line in named.items()}
    assert colours["base, training"] == colours["base, validation"] == plots.BLUE
    assert colours["complex, training"] == colours["complex, validation"] == plots.VERMILION


def test_names_with_a_comma_are_not_of_one_colour_for_that():
    rows = [("", name, x, x) for name in ("scratch, frozen", "scratch, free") for x in (0, 0.5)]
    [ax] = plots.lines(frame_of(rows, "x", "y")).axes
    assert [line.get_color() for line in ax.get_lines()] == [plots.BLUE, plots.VERMILION]


def test_without_training_each_series_has_its_own_dashes():
    rows = [("", name, x, x) for name in ("a", "b", "c") for x in (0, 0.5)]
    [ax] = plots.lines(frame_of(rows, "x", "y")).axes
    assert [line.get_linestyle() for line in ax.get_lines()] == ["-", "--", "-."]


def bars_of(ax):
    """Return the points of each series with bars, and the ends of the bars."""
    bars_of_series = {}
    for container in ax.containers:
        points, _, [bars] = container.lines
        ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
        bars_of_series[container.get_label()] = points.get_xydata().tolist(), ends
    return bars_of_series


def test_points_have_bars_above_their_own_names():
    [ax] = plots.lines(BARS, x="pairs").axes
    bars = bars_of(ax)
    assert bars["base"][0] == [[0, 0.5], [1, 0.75]]
    assert np.allclose(bars["base"][1], [[0.4, 0.7], [0.7, 0.8]])
    # beside the other, above 50, though it is the first point of its series
    assert np.allclose(bars["raw pixels"][0], [[1.06, 0.25]])
    assert np.allclose(bars["raw pixels"][1], [[0.125, 0.375]])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["5", "50"]


def test_names_are_spaced_evenly_whatever_the_numbers_in_them():
    [ax] = plots.lines(BARS.assign(low=NAN, high=NAN).iloc[:2]).axes
    assert not ax.containers
    [line] = ax.get_lines()
    assert line.get_xdata(orig=False).tolist() == [0, 1]
    assert line.get_xdata().tolist() == ["5", "50"]


def test_guides_are_drawn_and_are_no_data():
    rows = [(s, "base", x, x) for s in ("seen", "all") for x in (0, 0.5)]
    figure = plots.lines(frame_of(rows, "x", "y"), at=0.25, diagonal=True, ylim=(0, 2))
    for ax in figure.axes:
        assert [[0, 0], [1, 1]] in lines_of(ax, named=False)
        assert [[0.25, 0], [0.25, 1]] in lines_of(ax, named=False)
        assert ax.get_ylim() == (0, 2)
    assert [ax.get_title("left") for ax in figure.axes] == ["seen", "all"]
    assert not figure.legends  # one series needs none


def test_the_legend_names_each_series_once():
    both = pd.concat([SEEDS, SEEDS.assign(subplot="accuracy")])
    [legend] = plots.lines(both).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "base, training",
        "base, validation",
    ]


def test_dots_have_rows_bars_and_the_studys_diamonds():
    seen, other = plots.dots(MEANS, x="AUC").axes
    assert [tick.get_text() for tick in seen.get_yticklabels()] == ["raw pixels", "base"]
    points = {tuple(c.lines[0].get_xydata()[0]): c.lines[2] for c in seen.containers}
    assert list(points) == [(0.9, 1), (0.5, 0)]
    [bars] = points[0.9, 1]
    assert np.allclose(bars.get_segments()[0], [[0.8, 1], [1.0, 1]])
    diamonds = [line for line in seen.get_lines() if line.get_marker() == "D"]
    assert [line.get_xydata().tolist() for line in diamonds] == [[[0.95, 1]]]
    assert [line.get_markerfacecolor() for line in diamonds] == ["none"]
    [alone] = other.containers
    assert alone.lines[2] == ()  # one seed has no bar
    assert seen.get_xlim() != other.get_xlim()


def test_dots_of_one_scale_can_be_compared():
    seen, other = plots.dots(MEANS, one_scale=True).axes
    assert seen.get_xlim() == other.get_xlim()


def test_histograms_show_shares_and_thresholds():
    [ax] = plots.histograms(SHARES, thresholds={"0.5": 0.5, "tuned": 0.4}, x="distance").axes
    steps = {patch.get_label(): patch.get_data() for patch in ax.patches}
    assert steps["same"].values.tolist() == [0.75, 0.25]
    assert steps["same"].edges.tolist() == [0, 0.5, 1]
    assert steps["different"].values.tolist() == [0, 1]
    marks = {line.get_label(): line for line in ax.get_lines()}
    assert {name: line.get_xdata()[0] for name, line in marks.items()} == {"0.5": 0.5, "tuned": 0.4}
    assert len({line.get_linestyle() for line in marks.values()}) == 2
    assert ax.get_yscale() == "log"


def test_dots_have_the_colour_of_their_group_and_a_line_at_the_reference():
    groups = {name: f"group of {name}" for name in dict.fromkeys(MEANS["series"])}
    groups = {name: group for name, group in groups.items() if not name.endswith(", 2019")}
    reference = MEANS["series"].iloc[0]
    figure = plots.dots(MEANS, groups=groups, reference=reference, at=0.0)
    ax = figure.axes[0]
    upright = [line.get_xdata()[0] for line in ax.get_lines() if len(set(line.get_xdata())) == 1]
    assert {0.0, MEANS["x"].iloc[0]} <= set(upright)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(groups.values())
    colours = {bars[0].get_color() for bars in ax.containers}
    assert len(colours) == len(
        {row.series for row in MEANS.itertuples() if row.subplot == MEANS["subplot"].iloc[0]}
        - {n for n in MEANS["series"] if n.endswith(", 2019")}
    )


def test_a_heat_map_names_its_cells():
    ax, bar = plots.heat_map(AREAS, label="AUC", marked=["shoe"]).axes
    assert [text.get_text() for text in ax.texts] == ["0.90"] * 2  # none of a class with itself
    ticks = ax.get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["coat", "shoe"]
    assert [tick.get_style() for tick in ticks] == ["normal", "italic"]
    assert [tick.get_color() for tick in ax.get_yticklabels()] == [plots.BLUE, plots.VERMILION]
    assert bar.get_ylabel() == "AUC"


def test_maps_have_dots_of_each_class_and_some_pictures():
    pictures = np.repeat(IMAGES[0], 10, axis=0)
    figure = plots.embedding_maps(PLACES, pictures=pictures, every=10)
    [ax] = figure.axes
    assert [len(dots.get_offsets()) for dots in ax.collections] == [15, 15]
    shown = [child for child in ax.get_children() if isinstance(child, AnnotationBbox)]
    assert [tuple(picture.xy) for picture in shown] == [(7, -7), (17, -17), (27, -27)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0", "1"]


def test_two_towers_for_a_phone_are_narrower_and_no_less():
    wide, narrow = (plots.two_towers(TOWERS, narrow=n) for n in (False, True))
    assert narrow.get_figwidth() == wide.get_figwidth() / 2
    words = [[text.get_text() for ax in of.axes for text in ax.texts] for of in (wide, narrow)]
    assert words[0] == words[1]


def test_maps_without_pictures_have_one_scale_three_in_a_row():
    frame = pd.concat([PLACES.assign(subplot=f"{n} epochs", x=PLACES["x"] * n) for n in range(4)])
    axes = plots.embedding_maps(frame).axes
    assert [ax.get_subplotspec().colspan.start for ax in axes[:4]] == [0, 1, 2, 0]
    assert len({ax.get_xlim() for ax in axes[:4]}) == 1
    assert np.ptp(axes[0].get_xlim()) == pytest.approx(np.ptp(axes[0].get_ylim()))
    assert {ax.get_box_aspect() for ax in axes[:4]} == {1}
    assert axes[0].get_xlim()[1] > frame["x"].max()
    assert [ax.axison for ax in axes[4:]] == [False, False]


def test_examples_stand_in_rows_by_name():
    figure = plots.image_grid(IMAGES, names=["coat", "shoe"], marked=["shoe"])
    assert len(figure.axes) == 2 * 3
    first, second = figure.axes[0], figure.axes[3]
    assert [first.get_ylabel(), second.get_ylabel()] == ["coat", "shoe"]
    assert second.yaxis.label.get_style() == "italic"
    assert np.array_equal(second.images[0].get_array(), IMAGES[1, 0, ..., 0])


def test_pairs_stand_six_a_row_side_by_side():
    pairs = np.repeat(IMAGES[:1, :2], 7, axis=0)
    figure = plots.pair_gallery(pairs, titles=list("abcdefg"))
    assert len(figure.axes) == 12
    assert [ax.get_title() for ax in figure.axes] == [*"abcdefg", *[""] * 5]
    image = figure.axes[6].images[0].get_array()
    assert np.array_equal(image[:, :8], pairs[0, 0, ..., 0])
    assert np.array_equal(image[:, -8:], pairs[0, 1, ..., 0])


def test_pictures_in_colour_are_drawn_too():
    colours = np.repeat(IMAGES, 3, axis=-1)
    plots.image_grid(colours, names=["a", "b"]).canvas.draw()
    plots.pair_gallery(colours[:, :2], titles=["a", "b"]).canvas.draw()


def test_what_a_frame_shows_in_words():
    assert plots.describe_data(SEEDS) == (
        "Where the lines end. loss, base, training: 2.5; loss, base, validation: 7.5."
    )
    assert (
        plots.describe_data(BARS) == "Where the lines end. AUC, base: 0.75; AUC, raw pixels: 0.25."
    )
    assert plots.describe_data(MEANS) == (
        "seen, base: 0.9; all, base: 0.7; seen, raw pixels: 0.5; seen, base, 2019: 0.95."
    )
    pairs = {"coat and shoe": 0.9, "coat and shirt": 0.7, "shoe and shirt": 0.8}
    rows = [(*name.split(" and ")[::way], v) for way in (1, -1) for name, v in pairs.items()]
    assert plots.describe_data(pd.DataFrame(rows, columns=["x", "y", "value"])) == (
        "A value for each two of 3 classes. Lowest: coat and shirt: 0.7; shoe and shirt: 0.8."
    )


def test_an_empty_bin_at_the_end_is_no_end_of_a_line():
    frame = frame_of([("", "base", 0.5, 0.25), ("", "base", NAN, NAN)], "x", "y")
    assert plots.describe_data(frame) == "Where the lines end. base: 0.25."


def test_a_frames_own_words_go_first():
    frame = SEEDS.copy()
    frame.attrs["alt"] = "As it says."
    assert plots.describe_data(frame) == "As it says."


# The figures that several pages show -------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """What a page gets: each displayed thing and its metadata."""
    outputs = []
    monkeypatch.setattr(
        show, "display", lambda item, metadata=None: outputs.append((item, metadata))
    )
    return outputs


@pytest.fixture(scope="module")
def measured(digits):
    """Return synthetic distances of pairs of digits: those of negative pairs are larger."""
    rng = np.random.default_rng(0)
    sampled = {}
    for name, of_set in pair_distances.sample_test_pairs(digits, digits.split(0), 0).items():
        sampled[name] = np.float32(0.3 + 0.4 * of_set.different + 0.2 * rng.random(len(of_set)))
    counts = rng.integers(1, 9, (10, 10, 20))
    counts[np.arange(10), np.arange(10), 10:] = 0
    groups = rng.random((3, 3, 2, 20))
    one = PairDistances(sampled, PairHistogram(counts, 0.05, digits.classes), groups, 0.5, 1.0)
    return {"base": [one, one], "complex": [one, one]}


MEASURES = ("accuracy", "val_accuracy", "contrastive", "val_contrastive", "loss", "val_loss")
RUNS = {
    "base": [
        TrainingResult(
            {"config": asdict(TrainingConfig(seed=seed))},
            {measure: [0.5, 0.25 * seed] for measure in MEASURES},
            [],
        )
        for seed in (1, 2)
    ]
}

WITH_DATA = {
    "learning_curves": lambda measured, digits: figures.learning_curves(RUNS, "Curves."),
    "roc": lambda measured, digits: figures.roc(measured),
    "histograms": lambda measured, digits: figures.histograms(
        figures.sampled_sets(measured["base"]), "Distances.", tuned=0.5
    ),
    "reliability": lambda measured, digits: figures.reliability(measured, digits),
    "maps": lambda measured, digits: figures.maps(
        {"a": np.float32(digits.labels[:30, None] + [0, 1])}, np.arange(30), digits, "A map."
    ),
    "thresholds": lambda measured, digits: figures.thresholds(
        interactive_figures.thresholds({"base": measured["base"]}, digits)
    ),
    "probabilities": lambda measured, digits: figures.probabilities(
        calibration.calibration_tests({"base": measured["base"]}, digits)
    ),
}
FRAMES = {
    "learning_curves": lambda measured: plot_data.learning_curves(
        RUNS, TASKS["contrastive"].curves
    ),
    "roc": lambda measured: plot_data.roc({name: of[0] for name, of in measured.items()}),
    "histograms": lambda measured: plot_data.histogram(figures.sampled_sets(measured["base"])),
}


def test_no_figure_function_is_left_out():
    others = {"accuracy", "metrics_table", "worst_pairs", "sampled_sets", "two_towers"}
    others |= {"study_tables"}
    assert set(functions_of(figures)) == set(WITH_DATA) | others


@pytest.mark.parametrize("name", WITH_DATA)
def test_every_shared_figure_has_a_caption_a_description_and_data(shown, measured, digits, name):
    WITH_DATA[name](measured, digits)
    (_, metadata), (caption, _) = shown
    figure = metadata["image/svg+xml"]
    assert caption.data == f"*{figure['caption']}*"
    assert figure["caption"].endswith(".")
    assert figure["alt"].endswith(".")
    assert "nan" not in figure["alt"]
    data = pd.read_csv(io.StringIO(figure["data"]))
    assert {"series", "x", "y"} <= set(data)
    assert "subplot" in data or name == "thresholds"  # of one subplot
    if name in FRAMES:
        frame = FRAMES[name](measured)
        pd.testing.assert_frame_equal(data, frame, check_dtype=False, rtol=1e-5, atol=1e-5)


def test_two_towers_say_what_they_show(shown, digits):
    rows = np.flatnonzero(digits.labels == 3)[:2].tolist()
    pairs = {"same": {"rows": rows, "embeddings": [[0, 1], [1, 1]], "distance": 1.0}}
    figures.two_towers(pairs, digits, "A pair.")
    assert "3 and 3: distance 1.00." in shown[0][1]["image/svg+xml"]["alt"]
    assert "one class" in shown[0][0].data


def test_descriptions_and_options_of_shared_figures(shown, measured, digits):
    figures.learning_curves(RUNS, "Curves.")
    figures.histograms(
        figures.sampled_sets(measured["base"]), "Distances.", {"kind": "a"}, half_margin=0.5
    )
    figures.roc(measured)
    curves, histograms, roc = (metadata["image/svg+xml"] for _, metadata in shown[::2])
    assert curves["caption"] == "Curves. Thin lines: single seeds."
    # the seeds end at 0.25 and 0.5
    assert "accuracy at 0.5, base, validation: 0.375" in curves["alt"]
    assert histograms["live"] == {"kind": "a"}
    assert "half margin" in shown[2][0].data  # a threshold, by name
    assert "seen, base: 1.000" in roc["alt"]
    assert curves["live"] is roc["live"] is None


def test_learning_curves_show_the_measures_of_the_task(shown):
    record = {"config": asdict(TrainingConfig(task="triplet"))}
    result = TrainingResult(record, {"loss": [0.5, 0.25], "val_loss": [0.5, 0.5]}, [])
    figures.learning_curves({"base": [result]}, "Curves.")
    data = pd.read_csv(io.StringIO(shown[0][1]["image/svg+xml"]["data"]))
    assert set(data["subplot"]) == {"triplet loss"}
    assert data["y"].tolist() == [0.5, 0.25, 0.5, 0.5]


def test_stated_probabilities_are_those_of_all_pairs(shown, measured, digits):
    figures.reliability(measured, digits)
    data = pd.read_csv(io.StringIO(shown[0][1]["image/svg+xml"]["data"]))
    assert len(data) == 2 * 3 * 10
    expected = measured["base"][0].curve(digits.seen).reliability(1.0)
    one = data[(data["subplot"] == "seen") & (data["series"] == "base")]
    assert one["y"].to_numpy() == pytest.approx(expected.observed, rel=1e-5, nan_ok=True)


def test_the_panel_shows_what_is_known(shown):
    def both(values):
        return Measurement(np.array(values, float), np.outer(values, [1, 1]))

    panel_of_one = pd.Series(
        {(s, name): both(values) for s in TEST_SETS
         for name, values in (("AUC", [0.5, 0.5]), ("EER", [60, 60]), ("ECE", [NAN, NAN]))}
    ).rename_axis(["set", "metric"])  # fmt: skip
    figures.metrics_table(panel_of_one, "base model")
    [(page, _)] = shown
    assert isinstance(page, HTML)
    soup = BeautifulSoup(page.data, "html.parser")
    assert soup.caption.text.startswith("All metrics of the base model, on all pairs.")
    assert [cell.text for cell in soup.thead("th")] == ["metric", *TEST_SETS]
    rows = [[cell.text for cell in row("td")] for row in soup.tbody("tr")]
    assert rows == [["AUC", *["0.500 ± 0.000"] * 3], ["EER", *["60.000 ± 0.000"] * 3]]


def test_the_worst_pairs_are_shown(shown, measured, digits):
    figures.worst_pairs(measured["base"], digits, "base model")
    figure = shown[0][1]["image/svg+xml"]
    assert figure["caption"].startswith(
        "Pairs of unseen classes on which the base model of seed 0 is most wrong."
    )
    assert figure["data"] == ""
    titles = figure["alt"].removeprefix("Pairs of images: ").removesuffix(".").split("; ")
    names = [title.split(", D = ")[0] for title in titles]
    assert [" / " in name for name in names] == [False] * 6 + [True] * 6
    assert {part for name in names for part in name.split(" / ")} <= {str(c) for c in digits.unseen}
    distance, different = measured["base"][0].labelled_distances("unseen")
    apart = [float(title.split("D = ")[1]) for title in titles]
    assert apart[0] == round(float(distance[~different].max()), 2)
    assert apart[6] == round(float(distance[different].min()), 2)


def accuracies_of(*values):
    """Return metrics of sampled pairs with these accuracies in % on every set."""
    accuracies = {
        (s, f): measurement(values, "%") for s in SETS for f in metrics.THRESHOLD_RULES.values()
    }
    return accuracies | {(s, "AUC"): measurement(np.divide(values, 100)) for s in SETS}


@pytest.fixture
def as_in_2019(digits):
    return replace(digits, has_study_figures=True)


@pytest.fixture
def letter(monkeypatch):
    """The runs of the reconstructed protocol, of which there are none at first."""
    records = []
    monkeypatch.setattr(replication, "read", lambda: records)
    return records


LETTER = {"model": "base", "margin": 1.0, "test_set": "all"}
LETTER |= {"train_accuracy": 0.9981, "test_accuracy": 0.8012}


def tables_of(shown):
    """Return (caption, head, rows) of each table on a page."""
    soups = [BeautifulSoup(page.data, "html.parser") for page, _ in shown]
    return [
        (
            soup.caption.text,
            [cell.text for cell in soup.thead("th")],
            [[cell.text for cell in row("td")] for row in soup.tbody("tr")],
        )
        for soup in soups
    ]


def test_accuracies_are_shown_in_the_studys_form_and_compared(shown, results, as_in_2019, letter):
    letter.append(LETTER)
    table = pd.DataFrame({"base": accuracies_of(79, 81), "gentle": accuracies_of(70, 70)}).T
    configs = {"base": TrainingConfig(), "gentle": TrainingConfig(margin=2.0)}
    compared = figures.accuracy(table, configs, as_in_2019)
    # 80 ± 12.7062 x sqrt(2) x sqrt(1.5) = 80 ± 22.008
    assert compared.index.names == ["network", "set"]
    sets = [*TEST_SETS, *(f"training, tested on {s}" for s in TEST_SETS)]
    assert compared["inside"].to_dict() == {("base", s): "yes" for s in sets}
    assert compared["low"].tolist() == pytest.approx([80 - 22.0078] * 6, abs=1e-3)
    first, second, thresholds, comparison = tables_of(shown)

    caption, head, rows = first
    form = (
        "base: accuracy at threshold 0.5, in %, on the study's pairs, in the form of the study's "
    )
    assert caption.startswith(f"{form}Table 2.")
    assert head == ["pair set"] + [
        f"{kind}, {of}"
        for kind in ("training", "testing")
        for of in ("2019", "reconstructed protocol", "ours")
    ]
    assert [row[0] for row in rows] == list(published_results.PAIR_SETS.values())
    ours = "80.00 ± 12.71"
    assert [row[1:] for row in rows] == [
        ["99.85", "–", ours, "95.99", "–", ours],
        ["99.73", "99.81", ours, "79.85", "80.12", ours],
        ["99.70", "–", ours, "61.43", "–", ours],
    ]

    caption, head, rows = second  # which the study did not train
    assert caption.startswith("gentle: accuracy at threshold 0.5, in %, on the study's pairs.")
    assert head == ["pair set", "training, ours", "testing, ours"]

    _, head, rows = thresholds
    assert head == ["network", "threshold", "train", *TEST_SETS]
    assert [row[:2] for row in rows] == [
        *(["base", rule] for rule in ("0.5 (half the margin)", "tuned", "AUC (no threshold)")),
        *(["gentle", rule] for rule in ("0.5", "m/2", "tuned", "AUC (no threshold)")),
    ]

    _, head, rows = comparison
    assert head == ["network", "set", "2019", "ours", "prediction interval", "2019 in interval"]
    assert rows[2] == ["base", "unseen", "61.43", ours, "57.99 to 102.01", "yes"]
    assert len(rows) == 6


def test_the_comparison_and_the_thresholds_are_saved(shown, results, as_in_2019, letter):
    table = pd.DataFrame({"base, m = 1": accuracies_of(80, 80)}).T
    for _ in range(2):  # a network that is compared twice stands once
        figures.accuracy(table, {"base, m = 1": TrainingConfig()}, as_in_2019)
    saved = result_files.read("replication")
    assert saved.to_numpy().tolist() == [
        ["base, m = 1", "seen", 95.99, 80, 80, "no", 80],
        ["base, m = 1", "all", 79.85, 80, 80, "no", 80],
        ["base, m = 1", "unseen", 61.43, 80, 80, "no", 80],
        ["base, m = 1", "training, tested on seen", 99.85, 80, 80, "no", 80],
        ["base, m = 1", "training, tested on all", 99.73, 80, 80, "no", 80],
        ["base, m = 1", "training, tested on unseen", 99.7, 80, 80, "no", 80],
    ]
    assert tables.describe_replication(saved).startswith("0 of the study's 3 test accuracies")
    thresholds = result_files.read_measurements("thresholds-of-networks")
    assert thresholds["base, m = 1", "AUC (no threshold)", "seen"].mean == pytest.approx(0.8)
    assert "reconstructed protocol" not in "".join(page.data for page, _ in shown)


def test_without_accuracies_of_the_study_there_is_no_comparison(shown, results, digits, letter):
    letter.append(LETTER)
    table = pd.DataFrame({"base": accuracies_of(80, 80)}).T
    compared = figures.accuracy(table, {"base": TrainingConfig()}, digits)
    assert compared.empty
    assert tables.describe_comparison(compared)[1] == ""
    assert len(shown) == 2
    for page, _ in shown:
        assert "2019" not in page.data
        assert "reconstructed protocol" not in page.data
    assert [path.name for path in results.iterdir()] == ["thresholds-of-networks.csv"]


def test_the_studys_tables_are_shown_with_our_values(shown, as_in_2019, letter):
    letter.append(LETTER)
    networks = ["base, m = 1", "complex, m = 1", "complex, m = 5"]
    sampled = pd.DataFrame({name: accuracies_of(80, 80) for name in networks}).T
    plan = SimpleNamespace(images=as_in_2019, config=TrainingConfig)
    figures.study_tables(sampled.stack([0, 1], future_stack=True), plan)
    [(_, head, rows)] = tables_of(shown)
    assert head[:2] == ["network", "pair set"]
    assert [row[0] for row in rows] == [name for name in networks for _ in TEST_SETS]
    of_2019, reconstructed = (
        [row[head.index(f"testing, {of}")] for row in rows]
        for of in ("2019", "reconstructed protocol")
    )
    assert of_2019[-3:] == ["81.96", "67.78", "55.43"]
    assert reconstructed == ["–", "80.12", "–", *["–"] * 6]


def words_and_arrows(figure):
    """The boxes of a diagram, by their words: the place of each; and (start, end) of each arrow."""
    [ax] = figure.axes
    boxes = [text for text in ax.texts if not isinstance(text, Annotation)]
    at = {text.get_position(): text.get_text() for text in boxes}
    arrows = [a for a in ax.texts if isinstance(a, Annotation)]
    return at, [(at[arrow.get_position()], at[arrow.xy]) for arrow in arrows]


def test_the_split_is_drawn_with_the_numbers_of_each_set():
    at, arrows = words_and_arrows(plots.split_diagram(SIZES, files=FILES))
    combined, six = "x_combine, y_combine\n70,000 images", "six seen classes\n42,000"
    train, seen = "x_train: 80 %\n33,600", "x_test1: 20 %\n8,400"
    unseen = "x_only_test2: four\nunseen classes, 28,000"
    every = "x_test3: x_test1 and\nx_only_test2, 36,400"
    files = ["x_train, y_train\n60,000", "x_test, y_test\n10,000"]
    assert sorted(at.values()) == sorted([combined, six, train, seen, unseen, every, *files])
    assert len(at) == 8  # each in a place of its own
    assert sorted(arrows) == sorted(
        [(file, combined) for file in files]
        + [(combined, six), (combined, unseen), (six, train), (six, seen)]
        + [(seen, every), (unseen, every)]
    )


def test_the_boxes_of_the_split_do_not_overlap():
    figure = plots.split_diagram(SIZES, files=FILES)
    figure.canvas.draw()
    [ax] = figure.axes
    boxes = [text for text in ax.texts if not isinstance(text, Annotation)]
    extents = [box.get_bbox_patch().get_window_extent() for box in boxes]
    for i, one in enumerate(extents):
        assert figure.bbox.fully_containsx(one.x0)
        assert figure.bbox.fully_containsx(one.x1)
        assert figure.bbox.fully_containsy(one.y0)
        assert figure.bbox.fully_containsy(one.y1)
        assert not any(one.overlaps(other) for other in extents[i + 1 :])


def test_the_split_of_another_data_set_has_one_file():
    at, arrows = words_and_arrows(plots.split_diagram(SIZES, files={"images": 1797}))
    assert "x_combine, y_combine\n1,797 images" in at.values()
    assert sum(start == "images\n1,797" for start, _ in arrows) == 1


def test_figures_of_a_benchmark_keep_their_ranges_and_order():
    table = pd.DataFrame(
        {"median": [2.0, 1.0], "lowest": [1.5, 0.5], "highest": [3.0, 1.5]}, index=["old", "new"]
    )
    frame = plot_data.with_ranges(table)
    assert frame["series"].tolist() == ["old", "new"]
    assert frame[["x", "low", "high"]].to_numpy().tolist() == [[2, 1.5, 3], [1, 0.5, 1.5]]


def test_sizes_are_drawn_where_all_classes_take_part():
    sizes = pd.DataFrame(
        {
            "what": ["an epoch", "an epoch", "metrics on all pairs"],
            "images": [100, 50, 10],
            "classes": [6, 2, 10],
            "pairs": [200, 100, 3_000_000],
            "seconds": [4.0, 2.0, 1.0],
        }
    )
    frame = plot_data.by_size(sizes)
    assert frame["subplot"].tolist() == [
        "an epoch, by images",
        "metrics on all pairs, by million pairs",
    ]
    assert frame[["x", "y"]].to_numpy().tolist() == [[100, 4], [3, 1]]


def test_two_towers_hold_what_the_network_made_of_each_image():
    figure = plots.two_towers(TOWERS)
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert [text for text in texts if text] == [
        "distance 1.00:\nnear",
        "distance 5.00:\nfar",
        "one\nencoder",
    ]
    strokes = [ax.collections[0].get_segments() for ax in figure.axes if ax.collections]
    heights = [[segment[1][1] for segment in of] for of in strokes]
    assert heights == [of for pair in TOWERS.values() for of in pair["embeddings"]]
    assert {ax.get_ylim() for ax in figure.axes if ax.collections} == {(0, 4)}


def test_grey_images_are_drawn_inverted_unless_they_are_to_be_drawn_as_they_are():
    grey, colour = np.full((1, 2, 2, 1), 10, np.uint8), np.full((1, 2, 2, 3), 10, np.uint8)
    assert (plots.to_ink(grey) == 245).all()
    assert (plots.to_ink(colour) == 10).all()
    with plt.rc_context({"image.cmap": plots.AS_THEY_ARE}):
        assert (plots.to_ink(grey) == 10).all()
        drawn = plots.image_grid(grey[np.newaxis], names=["one"])
        assert drawn.axes[0].images[0].get_cmap().name == "gray"
    assert plots.image_grid(grey[np.newaxis], names=["one"]).axes[0].images[0].get_cmap().name == (
        "gray_r"
    )
