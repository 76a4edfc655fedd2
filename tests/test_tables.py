from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from siamese_utils.data.dataset import SETS, TEST_SETS
from siamese_utils.evaluation import verifier_trials
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.evaluation.metrics import sampled_metrics
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.reporting import plot_data, published_results, tables
from siamese_utils.training.cache import TrainingResult

BASE = {"seen": 95.99, "all": 79.85, "unseen": 61.43}
NO_COUNTS = PairHistogram(np.ones((1, 1, 1), dtype=np.int64), 1.0, (0,))


def make_distances(distance=(0.1, 0.6, 0.4, 0.9), margin=1.0):
    """As many same pairs as different ones in each set, the same ones first; distances in margins."""
    drawn = dict.fromkeys(SETS, np.float32(distance) * margin)
    return PairDistances(drawn, NO_COUNTS, np.zeros(0), 0.5, margin)


def drawn_panel(accuracies, margin=1.0):
    """The panel of one seed for each accuracy in % at 0.5, the same on each set."""
    figures = {}
    for name in SETS:
        for figure in (*tables.THRESHOLD_RULES.values(), "AUC"):
            unit = "" if figure == "AUC" else "%"
            figures[name, figure] = measurement(np.divide(accuracies, 1 if unit else 100), unit)
    return pd.Series(figures, dtype=object)


def test_the_table_of_an_encoder_by_hand():
    drawn = sampled_metrics([make_distances(margin=5.0)] * 3)
    table = tables.accuracy(drawn, 5.0)
    assert table.index.tolist() == ["0.5", "m/2", "tuned", "AUC (no threshold)"]
    assert table.index.name == "threshold"
    assert table.columns.tolist() == ["train", "seen", "all", "unseen"]
    # at 0.5 one same pair is right and both different ones are; at 2.5 one of each
    assert f"{table.loc['0.5', 'seen']}" == "75.00 ± 0.00"
    assert f"{table.loc['m/2', 'train']}" == "50.00 ± 0.00"
    assert f"{table.loc['AUC (no threshold)', 'unseen']}" == "0.750 ± 0.000"
    assert table.loc["tuned", "all"] is drawn["all", "accuracy, tuned"]


def test_at_margin_1_the_two_fixed_thresholds_are_one_row():
    drawn = drawn_panel([80, 81])
    table = tables.accuracy(drawn, 1.0)
    assert table.index.tolist() == ["0.5 (half the margin)", "tuned", "AUC (no threshold)"]
    assert table.loc["0.5 (half the margin)", "train"] is drawn["train", "accuracy, 0.5"]


ROWS = [
    "First pair dataset [0,1,2,4,5,9]",
    "Second pair dataset [0-9]",
    "Third pair dataset [3,7,8,6]",
]
TABLE_5 = published_results.TABLES[published_results.TABLES["table"] == "Table 5"]
LETTER = {"seen": (90.0, 85.5), "unseen": (91.234, 60.0)}  # the run for the set all is not made yet


def drawn_of_sets():
    """A panel of three seeds with another accuracy at 0.5 on each set, and wrong ones elsewhere."""
    drawn = drawn_panel([1, 2, 3])
    for value, pair_set in enumerate(("train", "seen", "all", "unseen"), 60):
        drawn[pair_set, "accuracy, 0.5"] = measurement([value] * 3, "%")
    return drawn


def test_the_form_of_the_studys_tables_has_training_and_testing_for_each_pair_set():
    table = tables.study_form(drawn_of_sets(), TABLE_5, LETTER)
    assert table.index.tolist() == ROWS
    assert table.index.name == "pair set"
    assert table.columns.tolist() == [
        *("training, 2019", "training, reconstructed protocol", "training, ours"),
        *("testing, 2019", "testing, reconstructed protocol", "testing, ours"),
    ]
    assert table["training, 2019"].tolist() == ["82.58", "78.84", "79.32"]
    assert table["testing, 2019"].tolist() == ["81.96", "67.78", "55.43"]
    assert table["training, reconstructed protocol"].tolist() == ["90.00", "–", "91.23"]
    assert table["testing, reconstructed protocol"].tolist() == ["85.50", "–", "60.00"]
    # one network of ours is tested on all three pair sets, and has one training accuracy
    assert [f"{value:.0f}" for value in table["training, ours"]] == ["60", "60", "60"]
    assert [f"{value:.0f}" for value in table["testing, ours"]] == ["61", "62", "63"]


def test_without_published_values_or_runs_to_the_letter_the_form_has_fewer_columns():
    nothing = TABLE_5.iloc[:0]
    ours = ["training, ours", "testing, ours"]
    assert list(tables.study_form(drawn_of_sets(), nothing, {})) == ours
    of_2019 = tables.study_form(drawn_of_sets(), TABLE_5, {})
    assert list(of_2019) == ["training, 2019", ours[0], "testing, 2019", ours[1]]
    letter = tables.study_form(drawn_of_sets(), nothing, LETTER)
    assert list(letter) == [
        "training, reconstructed protocol",
        ours[0],
        "testing, reconstructed protocol",
        ours[1],
    ]


def test_the_study_is_compared_with_one_more_run_by_hand():
    drawn = drawn_panel([50, 50, 50])
    drawn["seen", "accuracy, 0.5"] = measurement([95, 96, 97], "%")
    drawn["unseen", "accuracy, 0.5"] = measurement([64, 65, 69], "%")
    compared = tables.compare_with_study(drawn, BASE, {"seen": 49.0})
    assert compared.index.tolist() == ["seen", "all", "unseen", "training, tested on seen"]
    assert tables.is_training(compared.index).tolist() == [False] * 3 + [True]
    assert compared["ours"]["training, tested on seen"] is drawn["train", "accuracy, 0.5"]
    assert compared["inside"]["training, tested on seen"] == "no"  # all our runs have 50
    compared = compared.iloc[:3]
    assert compared.index.name == "set"
    assert compared.columns.tolist() == ["2019", "ours", "low", "high", "inside"]
    assert compared["2019"].tolist() == [95.99, 79.85, 61.43]
    assert compared["ours"]["all"] is drawn["all", "accuracy, 0.5"]
    # t for 2 degrees of freedom 4.302653, times s sqrt(1 + 1/3): s is 1, 0 and sqrt(7)
    mean, half = np.array([96, 50, 66]), 4.302653 * np.sqrt(4 / 3) * np.sqrt([1, 0, 7])
    assert compared["low"].to_numpy() == pytest.approx(mean - half)
    assert compared["high"].to_numpy() == pytest.approx(mean + half)
    assert compared["inside"].tolist() == ["yes", "no", "yes"]  # 61.43 is above 66 - 13.1


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([79.85] * 3, "yes"),
        ([79.8] * 3, "no"),  # no run of ours differs from another
        ([78.85, 80.85], "yes"),
        ([81, 82, 83], "yes"),  # 82 ± 4.97
        ([84, 85, 86], "no"),  # 85 ± 4.97
        ([73, 74, 75], "no"),
        ([70, 74, 78], "yes"),  # 74 ± 19.9: so noisy that the study's run is one of them
        ([79.85], "one seed"),
        ([50.0], "one seed"),
    ],
)
def test_the_study_is_inside_or_outside_the_range_of_one_more_run(values, word):
    compared = tables.compare_with_study(drawn_panel(values), {"all": 79.85}, {})
    assert compared["inside"].tolist() == [word]


def test_without_accuracies_of_2019_there_is_nothing_to_compare():
    compared = tables.compare_with_study(drawn_panel([50, 50]), {}, {})
    assert compared.empty
    none = ("The 2019 study has no accuracies for this.", "")
    assert tables.describe_comparison(compared) == none
    assert tables.describe_comparison(pd.DataFrame()) == none


def test_whether_accuracies_replicate_is_a_short_answer():
    def described(values, published):
        drawn = drawn_panel(values)
        return tables.describe_comparison(
            tables.compare_with_study(drawn, published, {"seen": 10.0})
        )

    near = {"seen": 80.5, "all": 79.5, "unseen": 81.0}
    words = "test accuracies of 2019 lie inside our 95 % prediction intervals for one more run."
    assert described([79, 80, 81], near) == ("Consistent with 2019.", f"3 of the 3 {words}")
    # 4.302653 x 1 x sqrt(1 + 1/3) = 4.97
    assert described([79, 80, 81], near | {"unseen": 61.43}) == (
        "In part.",
        f"2 of the 3 {words} On unseen classes the study has 61.4 %, and our interval is 75.0 to "
        "85.0 %.",
    )
    assert described([50, 50, 50], {"seen": 95.99, "all": 79.8}) == (
        "No.",
        f"0 of the 2 {words} On seen classes the study has 96.0 %, and our interval is 50.0 to "
        "50.0 %. On all classes the study has 79.8 %, and our interval is 50.0 to 50.0 %.",
    )
    assert described([80], near) == ("Unknown.", "One seed gives no prediction interval.")


def test_layers_of_an_encoder():
    layer = SimpleNamespace(
        name="dense", output=SimpleNamespace(shape=(None, 4, 2)), count_params=lambda: 20
    )
    [row] = tables.layers(SimpleNamespace(layers=[layer])).to_numpy().tolist()
    assert row == ["dense", "(4, 2)", 20]


def test_rows_are_ranked_by_their_means():
    figures = pd.DataFrame(
        {
            ("seen", "AUC"): {
                "a": measurement([0, 2]),
                "b": measurement([3]),
                "c": measurement([1, 1]),
            }
        }
    )
    assert tables.rank(figures, ("seen", "AUC")).index.tolist() == ["b", "a", "c"]


def test_the_worst_pairs_by_hand():
    distance = np.array([0.1, 0.9, 0.5, 0.2, 0.8, 0.3])
    different = np.array([False, False, False, True, True, True])
    assert tables.worst_pairs(distance, different, 2).tolist() == [1, 2, 3, 5]
    assert tables.worst_pairs(distance, different).tolist() == [1, 2, 0, 3, 5, 4]


FIGURES = (
    pd.DataFrame(
        {
            ("seen", "AUC"): {"base": measurement([0.8, 1.0]), "pixels": measurement([0.5])},
            ("all", "AUC"): {"base": measurement([0.6, 0.6]), "pixels": measurement([0.4])},
        }
    )
    .rename_axis("encoder")
    .rename_axis(["set", "metric"], axis="columns")
)


def test_figures_become_points_for_rows_of_dots():
    frame = plot_data.tidy(FIGURES, series="encoder", subplot="set")
    assert frame.columns.tolist() == ["subplot", "series", "x", "low", "high"]
    assert frame[["subplot", "series", "x"]].to_numpy().tolist() == [
        ["seen", "base", 0.9],
        ["all", "base", 0.6],
        ["seen", "pixels", 0.5],
        ["all", "pixels", 0.4],
    ]
    # 0.9 ± 12.7062 x 0.1
    assert frame.loc[0, ["low", "high"]].tolist() == pytest.approx([-0.37062, 2.17062], abs=1e-5)
    assert frame.loc[2:, ["low", "high"]].isna().all(axis=None)
    assert set(plot_data.tidy(FIGURES["seen", "AUC"], series="encoder")["subplot"]) == {""}


def test_figures_become_points_above_what_they_are_of():
    by_number = pd.Series({("base", 5): measurement([1, 3]), ("base", 50): measurement([2, 2])})
    frame = plot_data.tidy(by_number.rename_axis(["encoder", "pairs"]), series="encoder", x="pairs")
    assert frame[["series", "x", "y"]].to_numpy().tolist() == [["base", "5", 2], ["base", "50", 2]]
    assert frame.columns.tolist() == ["subplot", "series", "x", "y", "low", "high"]


def test_the_studys_figures_stand_beside():
    frame = plot_data.tidy(FIGURES, series="encoder", subplot="set")
    both = plot_data.with_published(frame, {"base": {"seen": 0.95, "all": 0.7}, "pixels": {}})
    assert both.iloc[4:][["subplot", "series", "x"]].to_numpy().tolist() == [
        ["seen", "base, 2019", 0.95],
        ["all", "base, 2019", 0.7],
    ]
    assert both.iloc[4:]["low"].isna().all()
    assert plot_data.with_published(frame, {"base": {}}) is frame


def test_figures_become_a_point_for_each_seed():
    columns = {("AUC", "seen"): [measurement([0.5, 0.6]), measurement([0.7, 0.8])]}
    frame = plot_data.by_seed(pd.DataFrame(columns), x=[0, 20])
    assert frame.columns.tolist() == ["subplot", "series", "x", "y", "seed"]
    assert frame.to_numpy().tolist() == [
        ["AUC", "seen", "0", 0.5, 0],
        ["AUC", "seen", "0", 0.6, 1],
        ["AUC", "seen", "20", 0.7, 0],
        ["AUC", "seen", "20", 0.8, 1],
    ]
    with pytest.raises(ValueError, match="zip"):
        plot_data.by_seed(pd.DataFrame(columns), x=[0])


def test_lines_become_points():
    frame = plot_data.points({("p", "a"): ([0, 1], [2, 3]), ("q", "a"): ([5], [6])})
    assert frame.to_numpy().tolist() == [["p", "a", 0, 2], ["p", "a", 1, 3], ["q", "a", 5, 6]]


def test_learning_curves_have_a_point_an_epoch_and_seed():
    runs = [TrainingResult({}, {"a": [3.0, 1.0], "val_a": [3.0, 2.0]}, []) for _ in range(2)]
    runs[1].history.update(a=[9.0], val_a=[4.0])
    frame = plot_data.learning_curves({"base": runs}, {"a": "loss"})
    assert frame.columns.tolist() == ["subplot", "series", "seed", "x", "y"]
    assert frame.to_numpy().tolist() == [
        ["loss", "base, training", 0, 1, 3.0],
        ["loss", "base, training", 0, 2, 1.0],
        ["loss", "base, training", 1, 1, 9.0],
        ["loss", "base, validation", 0, 1, 3.0],
        ["loss", "base, validation", 0, 2, 2.0],
        ["loss", "base, validation", 1, 1, 4.0],
    ]
    alone = plot_data.learning_curves({"base": runs}, {"a": "loss"}, ["validation"])
    assert set(alone["series"]) == {"base"}  # of one part, which needs no name
    assert alone["y"].tolist() == [3, 2, 4]


def test_histograms_hold_shares_that_sum_to_1():
    distance, different = np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, False, True, True])
    frame = plot_data.histogram({"seen": (distance, different), "all": (2 * distance, different)})
    assert len(frame) == 2 * 2 * plot_data.BINS
    shares = frame.groupby(["subplot", "series"])["y"].sum()
    assert shares.tolist() == pytest.approx([1] * 4)
    same = frame[(frame["subplot"] == "all") & (frame["series"] == "same")]
    # bins of 1.8 / 50 = 0.036: both same pairs lie in the sixth, from 0.18 to 0.216
    assert same["x"].to_numpy() == pytest.approx(0.036 * np.arange(50))
    assert same["y"].to_numpy().nonzero()[0].tolist() == [5]
    assert frame.attrs["alt"] == (
        "Histograms. Median distances: seen, same: 0.1; seen, different: 0.9; "
        "all, same: 0.2; all, different: 1.8."
    )


def test_of_many_distances_a_thousandth_is_left_out():
    distance = np.append(np.linspace(0, 1, 9999), 50.0)  # one pair far beyond
    frame = plot_data.histogram({"": (distance, np.arange(10_000) % 2 == 1)})
    assert frame["x"].max() < 1
    assert 0.998 < frame.groupby("series")["y"].sum().mean() < 1


def test_a_roc_curve_by_hand():
    frame = plot_data.roc({"base": make_distances()}, ["seen"])
    assert set(frame["subplot"]) == {"seen"}
    # from the threshold below all distances to that of the farthest: x different, y same accepted
    assert frame[["x", "y"]].to_numpy().tolist() == [
        [0, 0],
        [0, 0.5],  # same 0.1
        [0.5, 0.5],  # different 0.4
        [0.5, 1],  # same 0.6
        [1, 1],  # different 0.9
    ]
    assert frame.attrs["alt"] == "Curves from corner to corner. AUC: seen, base: 0.750."


def test_a_long_roc_curve_is_thinned_but_for_its_ends():
    frame = plot_data.roc({"a": make_distances(np.random.default_rng(0).random(3000))})
    assert frame["subplot"].drop_duplicates().tolist() == list(TEST_SETS)
    one = frame[frame["subplot"] == "all"]
    assert len(one) == plot_data.POINTS
    assert one[["x", "y"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]


def test_accuracies_by_threshold_by_hand():
    relative = np.array([0.0, 0.2, 0.5, 0.7])  # in margins
    seeds = [make_distances(margin=5.0), make_distances((0.6, 0.6, 0.9, 0.9), margin=5.0)]
    frame = plot_data.accuracy_by_threshold({"m = 5": seeds}, relative)
    one = frame[frame["subplot"] == "unseen"]
    assert one["x"].tolist() == relative.tolist()
    # seed 0: half, one same more, one different less, one same more; seed 1: half, half, half, all
    assert one["y"].tolist() == [50, (75 + 50) / 2, 50, (75 + 100) / 2]
    assert "seen, m = 5: 0.70; all, m = 5: 0.70;" in frame.attrs["alt"]


def test_where_each_line_is_highest():
    curves = {("seen", "b"): ([0.5, 1, 2], [1, 3, 2]), ("seen", "a"): ([0.5, 1, 2], [4, 4, 1])}
    curves |= {("all", name): ([0.5, 1, 2], [0, 1, 2]) for name in "ab"}
    found = plot_data.best_thresholds(plot_data.points(curves))
    assert found.columns.tolist() == ["seen", "all"]  # as they are drawn
    assert found.loc["b"].tolist() == [1, 2]
    assert found.loc["a"].tolist() == [0.5, 2]  # the first of equals


def test_spectra_become_points_by_direction():
    cloud = np.diag([3.0, 2.0, 1.0, 0.0])
    frame = plot_data.spectra({"seen": {"before": cloud}})
    assert frame["x"].tolist() == list(range(1, len(frame) + 1))
    assert frame["y"].sum() == pytest.approx(1)
    assert frame["y"].is_monotonic_decreasing
    assert frame.attrs["alt"] == "Share of the first three directions: seen, before: 100%."


def test_maps_have_a_point_for_each_image(digits, store):
    rows = np.concatenate([np.flatnonzero(digits.labels == c)[:8] for c in digits.classes])
    flat = np.float32(digits.images[rows].reshape(len(rows), -1)[:, 20:22])
    frame = plot_data.maps({"before": flat, "after": -flat}, rows, digits)
    assert frame["subplot"].drop_duplicates().tolist() == ["before", "after"]
    assert frame["series"].nunique() == 10
    assert {name for name in frame["series"] if "unseen" in name} == {
        f"{c} (unseen)" for c in digits.unseen
    }
    assert len(frame) == 2 * len(rows)
    assert np.array_equal(frame[["x", "y"]].to_numpy(), np.concatenate([flat, -flat]))
    words = "Variance within classes over that between them, in the plane: before, seen: "
    assert frame.attrs["alt"].startswith(words)


def saved_comparison(**inside):
    """The saved table of comparisons: network -> whether each accuracy is inside."""
    rows = [
        (network.replace("_", ", m = "), "seen", 80.0, 80.0 + gap, word)
        for network in inside
        for gap, word in enumerate(inside[network])
    ]
    return pd.DataFrame(rows, columns=["network", "set", "2019", "mean", "inside"])


WORDS = "test accuracies replicate: they lie in the interval that would contain one more run of ours with probability 95 %"


def test_what_replicates_is_counted_by_margin():
    margin_1 = {"base_1": ["yes"] * 3, "complex_1": ["yes", "yes", "yes", "no"]}
    both = saved_comparison(**margin_1, complex_5=["no", "no"])
    largest = "the largest difference from our mean is"
    first = f"At margin 1: 6 of 7; {largest} 3.0 points."
    told = f"6 of the study's 9 {WORDS}. {first} At margin 5: 0 of 2; {largest} 1.0 points."
    assert tables.describe_replication(both) == told
    assert tables.describe_replication(saved_comparison(**margin_1)) == (
        f"6 of the study's 7 {WORDS}. {first}"
    )
    row = {"network": "base", "set": "seen", "2019": 1.0, "mean": 2.0, "inside": "no"}
    others = pd.concat([both, pd.DataFrame([row])])
    assert tables.describe_replication(others) == told  # those without a margin are other tables
    training = row | {"network": "base, m = 1", "set": "training, tested on seen"}
    with_training = pd.concat([both, pd.DataFrame([training, training | {"inside": "yes"}])])
    assert tables.describe_replication(with_training) == (
        f"{told} Of its training accuracies, 1 of 2 replicate."
    )


def test_of_one_seed_nothing_is_said_to_replicate_or_not():
    assert tables.describe_replication(pd.DataFrame()) == ""
    assert tables.describe_replication(saved_comparison(base_1=["one seed"] * 3)) == ""


YES = (
    "On average yes, on the classes that it was trained on. Fitted to {} the base model's verifier has a "
    "mean confidence within 3 points of its accuracy there; the whole 95 % interval of the difference lies "
    "within 3 points. "
    "(The confidence is the probability of the more probable answer.)"
)


def trial_of(sure, log_loss=0.4):
    """What `probabilities` returns: (images, confidence minus accuracy on seen classes) -> rows."""
    rows = {}
    for images, gap in sure.items():
        for pairs in ("seen", "unseen", verifier_trials.RECALIBRATED):
            rows[images, pairs] = {
                "log-loss": measurement([log_loss] * 2),
                "confidence": measurement([0.8 + gap] * 2),
                "accuracy": measurement([0.8] * 2),
                "confidence minus accuracy": measurement([gap] * 2, signed=True),
            }
    return pd.DataFrame(rows).T.rename_axis(["images", "pairs"])


@pytest.mark.parametrize(
    ("sure", "first"),
    [
        (
            {100: 0.1, 300: 0.02, 1000: -0.02},
            YES.format("300 images or more,"),
        ),
        (
            {100: 0.0, 300: 0.0},
            YES.format("100 images or more,"),
        ),
        (
            {100: 0.0, 300: 0.1, 1000: 0.03},
            YES.format("1,000 images, the largest number tested,"),
        ),
        (
            {100: 0.0, 300: -0.1},
            "We cannot show this: even on training classes, mean confidence and accuracy may differ by 3 points or more.",
        ),
        (
            {300: 0.01},
            YES.format("300 images, the largest number tested,"),
        ),
    ],
)
def test_how_sure_a_verifier_may_be(sure, first):
    said = tables.describe_confidence(trial_of(sure), 96)
    assert " ".join(said[:-3]) == first
    assert said[-3] == (
        f"Fitted to {max(sure):,} images, the base model's verifier has on training classes a "
        f"mean confidence of {80 + 100 * sure[max(sure)]:.0f} % and an accuracy of 80 %."
    )
    assert "Recalibrated with 96 pairs of these classes" in said[-2]
    assert said[-1].endswith(
        "is below that of always predicting 50 %, whatever the number of training images."
    )
    dear = tables.describe_confidence(trial_of({100: 0.0}, log_loss=0.7), 96)[-1]
    assert dear == " ".join(
        f"On {classes} classes, before recalibration, the verifier fitted to 100 images has a log-loss of "
        "0.70; always predicting 50 % gives 0.69."
        for classes in ("seen", "unseen")
    )


@pytest.mark.parametrize(
    ("gains", "first"),
    [
        ((1, 1), "is significantly better than raw pixels, on seen and on unseen classes."),
        ((-1, -1), "is significantly worse than raw pixels, on seen and on unseen classes."),
        ((0, 0), "does not differ significantly from raw pixels, on seen and on unseen classes."),
        (
            (1, -1),
            "is significantly better than raw pixels on seen classes, and is significantly worse than",
        ),
        (
            (1, 0),
            "better than raw pixels on seen classes, and does not differ significantly from raw",
        ),
        (
            (0, 1),
            "does not differ significantly from raw pixels on seen classes, and is significantly better",
        ),
    ],
)
def test_whether_it_works_on_images_of_ones_own(gains, first):
    gain = {
        s: measurement([g, g + 0.1, g - 0.1])
        for s, g in zip(("seen", "unseen"), gains, strict=True)
    }
    accuracy = {"seen": measurement([90.0] * 3, "%"), "unseen": measurement([70.0] * 3, "%")}
    names = ("base model", "raw pixels", "ensemble")
    found = {"raw pixels": [make_distances()], "ensemble": [make_distances((0.1, 0.2, 0.8, 0.9))]}
    accuracies = pd.DataFrame(dict.fromkeys(names, accuracy)).T
    differences = pd.DataFrame({"base model": gain}).T
    said = tables.describe_user_images(accuracies, differences, found, "cats, dogs", 30)
    assert first in said[0]
    assert "(cats, dogs), the base model classifies 70 %, raw pixels 70 % and the ens" in said[2]
    assert said[3].endswith("ensemble has the highest AUC.")
    few = tables.describe_user_images(accuracies, differences, found, "cats, dogs", 29)[3]
    assert few == "There are 29 validation images, too few to say which method is best."
