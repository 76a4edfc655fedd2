"""Data frames for the tables of the report, and the sentences that summarise them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.evaluation import verdicts, verifier_trials
from siamese_utils.evaluation.calibration import CalibrationTest
from siamese_utils.evaluation.intervals import measurement, prediction_interval
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import published_results
from siamese_utils.training.cache import TrainingResult

if TYPE_CHECKING:
    import keras

# A confidence is calibrated if the interval of its mean lies within this of the accuracy (0 to 1).
CALIBRATED_WITHIN = 0.03
TRAINING = "training, tested on "  # begins the names of training accuracies
FEW_IMAGES = 30  # With fewer validation images no method is called the best.
CHANCE_LOG_LOSS = np.log(2)  # of a constant probability of one half


def study_form(
    sampled: pd.Series,
    published: pd.DataFrame,
    reference: Mapping[str, tuple[float, float]],
) -> pd.DataFrame:
    """Return accuracies at threshold 0.5 in the form of the study's tables.

    Args:
        sampled: Metrics on the study's pairs, (set, metric) -> value.
        published: As `published_results.find_table` returns it; empty without published values.
        reference: Test set -> training and test accuracy in % of the run of the reconstructed
            protocol, if any.

    Returns:
        A row for each pair set; the training and the test accuracy in %: of 2019, of the
        reconstructed protocol (one run each), and ours.
    """
    metric = THRESHOLD_RULES["0.5"]
    rows = {}
    for pair_set in published_results.PAIR_SETS:
        row = {}
        for i, (kind, measured) in enumerate((("training", "train"), ("testing", pair_set))):
            if len(published):
                value = published.set_index("set").loc[pair_set, f"{kind}_accuracy"]
                row[f"{kind}, 2019"] = f"{value:.2f}"
            if reference:
                value = reference[pair_set][i] if pair_set in reference else None
                row[f"{kind}, reconstructed protocol"] = "–" if value is None else f"{value:.2f}"
            row[f"{kind}, ours"] = sampled[measured, metric]
        rows[published_results.PAIR_SETS[pair_set]] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pair set")


def accuracy(sampled: pd.Series, margin: float) -> pd.DataFrame:
    """Return the accuracy of an encoder at each threshold, and its AUC.

    Args:
        sampled: Metrics on the study's pairs, (set, metric) -> value.
        margin: The margin of the loss.

    Returns:
        A row for each threshold, a column for each set.
    """
    rules = ("0.5", "tuned") if margin == 1 else ("0.5", "m/2", "tuned")
    labels = {
        rule: "0.5 (half the margin)" if margin == 1 and rule == "0.5" else rule for rule in rules
    }
    metrics = {labels[rule]: THRESHOLD_RULES[rule] for rule in rules} | {
        "AUC (no threshold)": "AUC"
    }
    sets = ["train", *TEST_SETS]
    rows = {label: {s: sampled[s, metric] for s in sets} for label, metric in metrics.items()}
    return pd.DataFrame(rows).T.rename_axis("threshold").rename_axis(columns="set")


def compare_with_study(
    sampled: pd.Series, published: Mapping[str, float], training: Mapping[str, float]
) -> pd.DataFrame:
    """Compare our accuracy at threshold 0.5 with the study's single run, for each set.

    The study's run is one more run like ours if it lies in our 95 % prediction interval.

    Args:
        sampled: Metrics on the study's pairs, (set, metric) -> value.
        published: Test set -> the study's accuracy in %.
        training: Test set that the study's network was trained for -> its training accuracy in %.

    Returns:
        A row for each set; the names of training accuracies start with TRAINING. Columns `2019`,
        `ours` (in %), `low` and `high` (the prediction interval) and `inside` (`yes`, `no`, or
        `one seed` if there is no interval).
    """
    rows = {}
    compared = [(name, name, value) for name, value in published.items()]
    compared += [(f"{TRAINING}{name}", "train", value) for name, value in training.items()]
    for name, pair_set, value in compared:
        ours = sampled[pair_set, THRESHOLD_RULES["0.5"]]
        low, high = prediction_interval(ours.values)
        inside = "one seed" if np.isnan(low) else "yes" if low <= value <= high else "no"
        rows[name] = {"2019": value, "ours": ours, "low": low, "high": high, "inside": inside}
    columns = ["2019", "ours", "low", "high", "inside"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("set")


def is_training(names: pd.Index | pd.Series) -> pd.Series:
    """Return which rows of `compare_with_study` are training accuracies, by their names."""
    return names.str.startswith(TRAINING)


def describe_comparison(compared: pd.DataFrame) -> tuple[str, str]:
    """Return whether the study's test accuracies replicate: a short answer and a sentence.

    Args:
        compared: As `compare_with_study` returns it; empty if the study has no values.
    """
    if compared.empty:
        return "The 2019 study has no accuracies for this.", ""
    compared = compared[~is_training(compared.index)]
    if (compared["inside"] == "one seed").any():
        return "Unknown.", "One seed gives no prediction interval."
    inside = compared["inside"] == "yes"
    sentence = (
        f"{inside.sum()} of the {len(compared)} test accuracies of 2019 lie inside our 95 % prediction "
        "intervals for one more run."
    )
    for s, row in compared[~inside].iterrows():
        sentence += (
            f" On {s} classes the study has {row['2019']:.1f} %, and our interval is {row['low']:.1f} to "
            f"{row['high']:.1f} %."
        )
    answer = "Consistent with 2019." if inside.all() else "In part." if inside.any() else "No."
    return answer, sentence


def describe_replication(compared: pd.DataFrame) -> str:
    """Return a sentence on whether the study's accuracies replicate, by margin.

    Args:
        compared: The saved table `replication`, with the columns `network`, `set`, `2019`, `mean`,
            `low`, `high` and `inside`.
    """
    if compared.empty or (compared["inside"] == "one seed").any():
        return ""
    of_training = compared["inside"][is_training(compared["set"])]
    compared = compared[~is_training(compared["set"])].reset_index(drop=True)
    margins = compared["network"].str.extract("m = (1|5)$")[0]
    inside = compared["inside"][margins.notna()] == "yes"
    if not len(inside):
        return ""
    gaps = (compared["2019"] - compared["mean"]).abs()
    counts = [
        f"At margin {margin}: {of_margin.sum()} of {len(of_margin)}; the largest difference from our mean is "
        f"{gaps[of_margin.index].max():.1f} points."
        for margin, of_margin in inside.groupby(margins)
    ]
    total = f"{inside.sum()} of the study's {len(inside)} test accuracies replicate"
    training = f" Of its training accuracies, {(of_training == 'yes').sum()} of {len(of_training)} replicate."
    return (
        f"{total}: they lie in the interval that would contain one more run of ours with probability 95 %. "
        f"{' '.join(counts)}{training if len(of_training) else ''}"
    )


def probabilities(
    tests: Mapping[tuple[object, ...], Sequence[CalibrationTest]], names: Sequence[str]
) -> pd.DataFrame:
    """Return calibration metrics, one row for each probability.

    Args:
        tests: Row label -> one test for each seed.
        names: Names of the index levels.

    Returns:
        The columns of `CalibrationTest.scores`, and the confidence minus the accuracy.
    """
    rows = {}
    for label, by_seed in tests.items():
        scores = pd.DataFrame([test.scores() for test in by_seed])
        rows[label] = {name: measurement(scores[name]) for name in scores}
        rows[label]["confidence minus accuracy"] = (
            rows[label]["confidence"] - rows[label]["accuracy"]
        )
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=names)
    return frame.rename_axis(columns="metric")


def describe_confidence(scores: pd.DataFrame, num_pairs: int) -> list[str]:
    """Return whether a verifier's probability is calibrated: a short answer, then sentences.

    Args:
        scores: As `probabilities` returns them, with rows (images, pairs) of one verifier.
        num_pairs: The pairs with which the verifier was recalibrated.
    """
    means = scores.map(lambda value: value.interval.mean)
    seen = means.xs("seen", level="pairs")
    gaps = scores["confidence minus accuracy"].xs("seen", level="pairs")
    near = [
        verdicts.judge_value(gap, 0, 0, CALIBRATED_WITHIN) == verdicts.SUPPORTED for gap in gaps
    ]
    # From the first True on, all larger numbers of images give a calibrated probability.
    calibrated_from = pd.Series(near, index=gaps.index)[::-1].cummin()[::-1]
    points = f"{100 * CALIBRATED_WITHIN:.0f}"
    answers = [
        f"We cannot show this: even on training classes, mean confidence and accuracy may differ by {points} points or more."
    ]
    if calibrated_from.any():
        fewest = calibrated_from.idxmax()
        more = ", the largest number tested," if fewest == max(gaps.index) else " or more,"
        answers = [
            "On average yes, on the classes that it was trained on.",
            f"Fitted to {fewest:,} images{more} the base model's verifier has a mean confidence within {points} points of its accuracy there; "
            f"the whole 95 % interval of the difference lies within {points} points. (The confidence is the probability of the more probable answer.)",
        ]
    losses = means["log-loss"].drop(verifier_trials.RECALIBRATED, level="pairs")
    bad = [
        f"On {s} classes, before recalibration, the verifier fitted to {n:,} images has a log-loss of {value:.2f}; "
        f"always predicting 50 % gives {CHANCE_LOG_LOSS:.2f}."
        for (n, s), value in losses[losses >= CHANCE_LOG_LOSS].items()
    ]
    always = (
        "Before recalibration, on seen and on unseen classes, its mean log-loss is below that of always predicting 50 %, "
        "whatever the number of training images."
    )
    largest = max(seen.index)
    percent = 100 * means.loc[largest]
    words = {
        pairs: f"mean confidence of {row['confidence']:.0f} % and an accuracy of {row['accuracy']:.0f} %"
        for pairs, row in percent.iterrows()
    }
    return [
        *answers,
        f"Fitted to {largest:,} images, the base model's verifier has on training classes a {words['seen']}.",
        f"On unseen classes it has a {words['unseen']}. Recalibrated with {num_pairs} pairs of these classes, it has a"
        f" {words[verifier_trials.RECALIBRATED]}.",
        " ".join(bad) or always,
    ]


def describe_user_images(
    accuracy: pd.DataFrame,
    gains: pd.DataFrame,
    distances: Mapping[str, Sequence[PairDistances]],
    unseen_names: str,
    num_validation: int,
) -> list[str]:
    """Return whether the base model works on a user's images: a short answer, then sentences.

    Args:
        accuracy: Accuracy in % at the tuned threshold, (encoder, set) -> value.
        gains: AUC minus that of raw pixels, (encoder, set) -> difference.
        distances: Encoder -> its pair distances, one for each seed.
        unseen_names: The names of the unseen classes.
        num_validation: The number of validation images.
    """
    results = {
        "better": "is significantly better than raw pixels",
        "worse": "is significantly worse than raw pixels",
    }
    seen, unseen = (
        results.get(
            verdicts.compare(gains.loc["base model", s]),
            "does not differ significantly from raw pixels",
        )
        for s in ("seen", "unseen")
    )
    answer = f"The base model {seen} on seen classes, and {unseen} on unseen classes."
    if seen == unseen:
        answer = f"The base model {seen}, on seen and on unseen classes."
    aucs = {
        name: np.mean([d.sampled_curve("validation").auc for d in by_seed])
        for name, by_seed in distances.items()
    }
    base, pixels = accuracy.loc["base model"], accuracy.loc["raw pixels"]
    return [
        answer,
        f"On seen classes, the base model classifies {base['seen']:.0f} % of pairs correctly, and raw"
        f" pixels {pixels['seen']:.0f} %.",
        f"On unseen classes ({unseen_names}), the base model classifies {base['unseen']:.0f} %, raw pixels"
        f" {pixels['unseen']:.0f} % and the ensemble {accuracy.loc['ensemble', 'unseen']:.0f} %.",
        f"On validation pairs of seen classes, {max(aucs, key=aucs.get)} has the highest AUC."
        if num_validation >= FEW_IMAGES
        else f"There are {num_validation} validation images, too few to say which method is best.",
    ]


def layers(encoder: keras.Model) -> pd.DataFrame:
    """Return the layers of an encoder: name, output shape of one image, number of parameters."""
    rows = [
        (layer.name, str(layer.output.shape[1:]), layer.count_params()) for layer in encoder.layers
    ]
    return pd.DataFrame(rows, columns=["layer", "output of one image", "parameters"])


def rank(metrics: pd.DataFrame, by: str | tuple[str, str]) -> pd.DataFrame:
    """Return rows of measured values, sorted by the mean of a column, highest first."""
    means = np.array([value.interval.mean for value in metrics[by]])
    return metrics.iloc[np.argsort(-means, kind="stable")]


def worst_pairs(distance: np.ndarray, different: np.ndarray, count: int = 6) -> np.ndarray:
    """Return the positions of the pairs with the worst distances.

    Args:
        distance: (pairs,) distances.
        different: (pairs,) whether a pair is negative, that is of two classes.
        count: Number of positive and of negative pairs, at most.

    Returns:
        The positive pairs with the largest distances, then the negative ones with the smallest.
    """
    order = np.argsort(distance, kind="stable")
    farthest = order[~different[order]][::-1][:count]
    return np.concatenate([farthest, order[different[order]][:count]])


def histories(results: Sequence[TrainingResult]) -> pd.DataFrame:
    """Return the learning curves of training runs: a row for each seed, a column for each metric."""
    return pd.DataFrame([result.history for result in results]).rename_axis("seed")
