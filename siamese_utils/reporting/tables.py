"""Results as frames for tables: of measured figures, and what is said of them."""

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

CALIBRATED_WITHIN = (
    0.03  # from the accuracy: a mean confidence whose interval lies nearer keeps its word
)
FEW_IMAGES = 30  # validation images: with fewer no way is called the best
CHANCE_LOG_LOSS = np.log(2)  # its log-loss
NEAR_POINTS = 2.0  # points of %: nearer than this, one of our figures is one of the study's


def accuracy(drawn: pd.Series, margin: float, published: Mapping[str, float]) -> pd.DataFrame:
    """Return the study's table of an encoder: a row for each threshold, a column for each set.

    drawn: its panel from the study's pairs; published: the study's figures, or {}.
    """
    shown = ["train", *TEST_SETS]
    rules = (
        {"0.5 = m/2": THRESHOLD_RULES["0.5"]}
        if margin == 1
        else {r: THRESHOLD_RULES[r] for r in ("0.5", "m/2")}
    )
    rules |= {"tuned": THRESHOLD_RULES["tuned"], "none: AUC": "AUC"}
    rows = {label: {s: drawn[s, figure] for s in shown} for label, figure in rules.items()}
    if published:
        training = published_results.TRAINING_ACCURACY[_model_of(published), margin]
        rows["0.5, in 2019"] = {"train": " / ".join(f"{v:.2f}" for v in training)} | {
            s: f"{value:.2f}" for s, value in published.items()
        }
    return pd.DataFrame(rows).T.rename_axis("threshold")


def differences_from_study(drawn: pd.Series, published: Mapping[str, float]) -> pd.DataFrame:
    """Return our accuracy at 0.5 minus the study's on each set, and whether the two agree.

    They do where the 95 % interval of our mean lies within 2 points of the study's figure.
    """
    ours = pd.Series({s: drawn[s, THRESHOLD_RULES["0.5"]] for s in published}, dtype=object)
    minus = ours - pd.Series(published)
    near = [verdicts.judge_value(gap, 0, 0, NEAR_POINTS) for gap in minus]
    words = {verdicts.HOLDS: "yes", verdicts.FAILS: "no", verdicts.UNDECIDED: "open"}
    frame = pd.DataFrame({"2019": published, "ours": ours, "ours minus 2019": minus})
    return frame.assign(**{"within 2 points": [words[v] for v in near]}).rename_axis("set")


def describe_differences(found: pd.DataFrame) -> tuple[str, str]:
    """Return whether ours are the study's figures: a short answer, and a sentence where not.

    found: as `gaps` returns it, or empty where the study has no figures.
    """
    if found.empty:
        return "The study has no figures for this.", ""
    others = found[found["within 2 points"] != "yes"]
    if others.empty:
        return "Yes.", "On all three sets that is within 2 points of the study's single run."
    near = [s for s in found.index if s not in others.index]
    words = [f"{gap['ours minus 2019']:+.1f} points on {s}" for s, gap in others.iterrows()]
    is_open = " Where the interval reaches farther than 2 points, that stays open."
    is_open = is_open if (others["within 2 points"] == "open").any() else ""
    missed = (others["within 2 points"] == "no").any()
    surely = "Only" if missed else "Surely only"
    answer = f"{surely} on {' and '.join(near)} classes." if near else "On no set."
    return answer, f"Ours minus the study's is {', '.join(words)}.{is_open}"


def describe_reproduction(minus: pd.Series) -> str:
    """Return whether ours come within NEAR points of the study's accuracies, at margin 1 and beyond.

    minus: ours minus the study's, (network, set) -> figure; empty where the study has no figures.
    """
    if minus.empty:
        return ""
    means = pd.Series({place: figure.mean for place, figure in minus.items()})
    wide = np.array([not network.endswith("m = 1") for network, *_ in means.index])
    own, other = means[~wide], means[wide]
    near = own.abs().max() <= NEAR_POINTS
    words = "come out again" if near else f"are missed by up to {own.abs().max():.0f} points"
    told = f"Its accuracies at margin 1 {words}."
    if len(other) and other.abs().max() > NEAR_POINTS:
        most = other[other.abs().idxmax()]
        way = "higher" if most > 0 else "lower"
        told += f" At margin 5 ours are up to {abs(most):.0f} points {way}."
    return told


def probabilities(
    judged: Mapping[tuple[object, ...], Sequence[CalibrationTest]], names: Sequence[str]
) -> pd.DataFrame:
    """Return how good stated probabilities are, a row each; names: of the parts of a row's name.

    The columns are those of `Judged.scores`, and the confidence minus the accuracy.
    """
    rows = {}
    for row, of_seeds in judged.items():
        scores = pd.DataFrame([one.scores() for one in of_seeds])
        rows[row] = {name: measurement(scores[name]) for name in scores}
        rows[row]["too sure by"] = rows[row]["confidence"] - rows[row]["accuracy"]
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=names)
    return frame.rename_axis(columns="figure")


def describe_confidence(found: pd.DataFrame, asked: int) -> list[str]:
    """Return whether a verifier's probability is to be trusted: a short answer, then sentences.

    found: as `probabilities` returns it, rows (images, pairs) of one verifier; asked: by how many
    pairs it was set anew.
    """
    means = found.map(lambda figure: figure.interval.mean)
    seen = means.xs("seen", level="pairs")
    gaps = found["too sure by"].xs("seen", level="pairs")
    near = [verdicts.judge_value(gap, 0, 0, CALIBRATED_WITHIN) == verdicts.HOLDS for gap in gaps]
    kept = pd.Series(near, index=gaps.index)[::-1].cummin()[::-1]
    first = f"On classes that it was shown, not surely within {100 * CALIBRATED_WITHIN:.0f} points on average."
    if kept.any():
        least = f", from {kept.idxmax():,} images on" if len(kept) > 1 else ""
        first = f"On average yes, within {100 * CALIBRATED_WITHIN:.0f} points, on classes that it was shown{least}."
    most = 100 * means.loc[max(seen.index)]
    costs = means["log-loss"].drop(verifier_trials.RECALIBRATED, level="pairs")
    dear = [f"with {n:,} images on {of} classes" for n, of in costs[costs >= CHANCE_LOG_LOSS].index]
    cost = f"worse than a coin's {', '.join(dear)}" if dear else "nowhere worse than a coin's"
    sure = {
        pairs: f"{row['confidence']:.0f} % sure on average, and right in {row['accuracy']:.0f} %"
        for pairs, row in most.iterrows()
    }
    return [
        first,
        f"Fitted to {max(seen.index):,} images it is {sure['seen']} of its answers on these.",
        f"On classes that it was not shown it is {sure['unseen']}; set anew by {asked} pairs of them,"
        f" {sure[verifier_trials.RECALIBRATED]}.",
        f"Its log-loss is {cost}.",
    ]


def describe_user_images(
    accuracy: pd.DataFrame,
    gains: pd.DataFrame,
    found: Mapping[str, Sequence[PairDistances]],
    new: str,
    held_out: int,
) -> list[str]:
    """Return whether the base model works on a reader's own images: a short answer, then sentences.

    accuracy: in % at the tuned threshold, (encoder, set) -> figure; gains: their AUC minus that of
    raw pixels; new: the names of the unseen classes; held_out: how many images validate.
    """
    verdict = {s: verdicts.compare(gains.loc["base model", s]) for s in ("seen", "unseen")}
    answers = {"better": "it does", "worse": "comparing pixels does better"}
    seen, unseen = (answers.get(of, "it cannot be told") for of in verdict.values())
    first = f"On your images {seen} for classes that it was trained on, and {unseen} for others."
    if seen == unseen:
        first = f"On your images {seen}."
    areas = {
        name: np.mean([one.sampled_curve("validation").auc for one in of])
        for name, of in found.items()
    }
    base, plain = accuracy.loc["base model"], accuracy.loc["raw pixels"]
    return [
        first,
        f"Of 100 pairs of classes that it was trained on the base model judges {base['seen']:.0f}"
        f" rightly, and comparing pixels {plain['seen']:.0f}.",
        f"Of others ({new}) it is {base['unseen']:.0f} and {plain['unseen']:.0f},"
        f" and by the recipe {accuracy.loc['recipe', 'unseen']:.0f}.",
        f"By validation pairs, of classes trained on, the best way is: {max(areas, key=areas.get)}."
        if held_out >= FEW_IMAGES
        else f"Its {held_out} validation images are too few to say which way is best.",
    ]


def layers(encoder: keras.Model) -> pd.DataFrame:
    """Return the layers of an encoder: name, output of one image, parameters."""
    rows = [(lay.name, str(lay.output.shape[1:]), lay.count_params()) for lay in encoder.layers]
    return pd.DataFrame(rows, columns=["layer", "output of one image", "parameters"])


def rank(figures: pd.DataFrame, by: str | tuple[str, str]) -> pd.DataFrame:
    """Return rows of measured figures from the highest mean of a column to the lowest."""
    means = np.array([figure.interval.mean for figure in figures[by]])
    return figures.iloc[np.argsort(-means, kind="stable")]


def first_and_last(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first so many rows and the last; each once where there are fewer."""
    count = min(count, len(rows) // 2)
    return pd.concat([rows.head(count), rows.tail(count)])


def worst_pairs(distance: np.ndarray, different: np.ndarray, count: int = 6) -> np.ndarray:
    """Return the positions of the most wrongly judged pairs, (2 count,) at most.

    First the same pairs farthest apart, then the different pairs nearest to each other.
    """
    order = np.argsort(distance, kind="stable")
    apart = order[~different[order]][::-1][:count]
    return np.concatenate([apart, order[different[order]][:count]])


def histories(runs: Sequence[TrainingResult]) -> pd.DataFrame:
    """Return the learning curves of one training's seeds: a row a seed, a column for each figure."""
    return pd.DataFrame([run.history for run in runs]).rename_axis("seed")


def _model_of(published: Mapping[str, float]) -> str:
    same = (published_results.TEST_ACCURACY[list(published)] == pd.Series(published)).all(axis=1)
    return published_results.TEST_ACCURACY.loc[same, "model"].item()
