"""Data frames for the tables of the report, and the sentences that summarise them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.evaluation import verdicts, verifier_trials
from siamese_utils.evaluation.calibration import CalibrationTest
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import published_results
from siamese_utils.training.cache import TrainingResult

if TYPE_CHECKING:
    import keras

# A confidence is calibrated if the interval of its mean lies within this of the accuracy (0 to 1).
CALIBRATED_WITHIN = 0.03
FEW_IMAGES = 30  # With fewer validation images no method is called the best.
CHANCE_LOG_LOSS = np.log(2)  # of a constant probability of one half
NEAR_POINTS = 2.0  # Two accuracies agree if they differ by at most so many percentage points.


def accuracy(sampled: pd.Series, margin: float, published: Mapping[str, float]) -> pd.DataFrame:
    """Return the study's accuracy table of an encoder.

    Args:
        sampled: Metrics on the study's pairs, (set, metric) -> value.
        margin: The margin of the loss.
        published: Set -> the study's accuracy in %; {} if the study did not train this encoder.

    Returns:
        A row for each threshold, a column for each set.
    """
    sets = ["train", *TEST_SETS]
    rules = (
        {"0.5 = m/2": THRESHOLD_RULES["0.5"]}
        if margin == 1
        else {rule: THRESHOLD_RULES[rule] for rule in ("0.5", "m/2")}
    )
    rules |= {"tuned": THRESHOLD_RULES["tuned"], "none: AUC": "AUC"}
    rows = {label: {s: sampled[s, metric] for s in sets} for label, metric in rules.items()}
    if published:
        table = published_results.TEST_ACCURACY
        same = (table[list(published)] == pd.Series(published)).all(axis=1)
        model = table.loc[same, "model"].item()
        training = published_results.TRAINING_ACCURACY[model, margin]
        rows["0.5, in 2019"] = {"train": " / ".join(f"{value:.2f}" for value in training)} | {
            s: f"{value:.2f}" for s, value in published.items()
        }
    return pd.DataFrame(rows).T.rename_axis("threshold")


def differences_from_study(sampled: pd.Series, published: Mapping[str, float]) -> pd.DataFrame:
    """Return our accuracy at threshold 0.5 minus the study's, for each set.

    The two agree if the 95 % interval of the difference lies within NEAR_POINTS of zero.

    Args:
        sampled: Metrics on the study's pairs, (set, metric) -> value.
        published: Set -> the study's accuracy in %.
    """
    ours = pd.Series({s: sampled[s, THRESHOLD_RULES["0.5"]] for s in published}, dtype=object)
    differences = ours - pd.Series(published)
    near = [verdicts.judge_value(difference, 0, 0, NEAR_POINTS) for difference in differences]
    words = {verdicts.HOLDS: "yes", verdicts.FAILS: "no", verdicts.UNDECIDED: "open"}
    frame = pd.DataFrame({"2019": published, "ours": ours, "ours minus 2019": differences})
    return frame.assign(**{"within 2 points": [words[v] for v in near]}).rename_axis("set")


def describe_differences(differences: pd.DataFrame) -> tuple[str, str]:
    """Return whether our accuracies agree with the study's: a short answer and a sentence.

    Args:
        differences: As `differences_from_study` returns them; empty if the study has no values.
    """
    if differences.empty:
        return "The study has no figures for this.", ""
    others = differences[differences["within 2 points"] != "yes"]
    if others.empty:
        return "Yes.", "On all three sets that is within 2 points of the study's single run."
    near = [s for s in differences.index if s not in others.index]
    words = [f"{row['ours minus 2019']:+.1f} points on {s}" for s, row in others.iterrows()]
    inconclusive = " Where the interval reaches farther than 2 points, that stays open."
    inconclusive = inconclusive if (others["within 2 points"] == "open").any() else ""
    qualifier = "Only" if (others["within 2 points"] == "no").any() else "Surely only"
    answer = f"{qualifier} on {' and '.join(near)} classes." if near else "On no set."
    return answer, f"Ours minus the study's is {', '.join(words)}.{inconclusive}"


def describe_reproduction(differences: pd.Series) -> str:
    """Return a sentence on whether the study's accuracies replicate, at margin 1 and at margin 5.

    Args:
        differences: Ours minus the study's, (network, set) -> value; empty if the study has no
            values.
    """
    if differences.empty:
        return ""
    means = pd.Series({place: difference.mean for place, difference in differences.items()})
    has_margin_1 = np.array([network.endswith("m = 1") for network, *_ in means.index])
    margin_1, margin_5 = means[has_margin_1], means[~has_margin_1]
    largest = margin_1.abs().max()
    words = (
        "come out again" if largest <= NEAR_POINTS else f"are missed by up to {largest:.0f} points"
    )
    sentence = f"Its accuracies at margin 1 {words}."
    if len(margin_5) and margin_5.abs().max() > NEAR_POINTS:
        largest = margin_5[margin_5.abs().idxmax()]
        direction = "higher" if largest > 0 else "lower"
        sentence += f" At margin 5 ours are up to {abs(largest):.0f} points {direction}."
    return sentence


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
        rows[label]["too sure by"] = rows[label]["confidence"] - rows[label]["accuracy"]
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=names)
    return frame.rename_axis(columns="figure")


def describe_confidence(scores: pd.DataFrame, num_pairs: int) -> list[str]:
    """Return whether a verifier's probability is calibrated: a short answer, then sentences.

    Args:
        scores: As `probabilities` returns them, with rows (images, pairs) of one verifier.
        num_pairs: The pairs with which the verifier was recalibrated.
    """
    means = scores.map(lambda value: value.interval.mean)
    seen = means.xs("seen", level="pairs")
    gaps = scores["too sure by"].xs("seen", level="pairs")
    near = [verdicts.judge_value(gap, 0, 0, CALIBRATED_WITHIN) == verdicts.HOLDS for gap in gaps]
    # From the first True on, all larger numbers of images give a calibrated probability.
    calibrated_from = pd.Series(near, index=gaps.index)[::-1].cummin()[::-1]
    points = f"{100 * CALIBRATED_WITHIN:.0f}"
    answer = f"On classes that it was shown, not surely within {points} points on average."
    if calibrated_from.any():
        fewest = (
            f", from {calibrated_from.idxmax():,} images on" if len(calibrated_from) > 1 else ""
        )
        answer = f"On average yes, within {points} points, on classes that it was shown{fewest}."
    losses = means["log-loss"].drop(verifier_trials.RECALIBRATED, level="pairs")
    bad = [f"with {n:,} images on {s} classes" for n, s in losses[losses >= CHANCE_LOG_LOSS].index]
    loss = f"worse than a coin's {', '.join(bad)}" if bad else "nowhere worse than a coin's"
    largest = max(seen.index)
    percent = 100 * means.loc[largest]
    words = {
        pairs: f"{row['confidence']:.0f} % sure on average, and right in {row['accuracy']:.0f} %"
        for pairs, row in percent.iterrows()
    }
    return [
        answer,
        f"Fitted to {largest:,} images it is {words['seen']} of its answers on these.",
        f"On classes that it was not shown it is {words['unseen']}; set anew by {num_pairs} pairs of them,"
        f" {words[verifier_trials.RECALIBRATED]}.",
        f"Its log-loss is {loss}.",
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
    answers = {"better": "it does", "worse": "comparing pixels does better"}
    seen, unseen = (
        answers.get(verdicts.compare(gains.loc["base model", s]), "it cannot be told")
        for s in ("seen", "unseen")
    )
    answer = f"On your images {seen} for classes that it was trained on, and {unseen} for others."
    if seen == unseen:
        answer = f"On your images {seen}."
    aucs = {
        name: np.mean([d.sampled_curve("validation").auc for d in by_seed])
        for name, by_seed in distances.items()
    }
    base, pixels = accuracy.loc["base model"], accuracy.loc["raw pixels"]
    return [
        answer,
        f"Of 100 pairs of classes that it was trained on the base model judges {base['seen']:.0f}"
        f" rightly, and comparing pixels {pixels['seen']:.0f}.",
        f"Of others ({unseen_names}) it is {base['unseen']:.0f} and {pixels['unseen']:.0f},"
        f" and by the recipe {accuracy.loc['recipe', 'unseen']:.0f}.",
        f"By validation pairs, of classes trained on, the best way is: {max(aucs, key=aucs.get)}."
        if num_validation >= FEW_IMAGES
        else f"Its {num_validation} validation images are too few to say which way is best.",
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


def first_and_last(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first and the last `count` rows, fewer if the two would overlap."""
    count = min(count, len(rows) // 2)
    return pd.concat([rows.head(count), rows.tail(count)])


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
