"""The split lottery: how far the results move with the choice of seen classes, and how far by chance."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from siamese_utils.data import pairs
from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.evaluation import baselines, pair_distances
from siamese_utils.evaluation.intervals import CONFIDENCE, Interval, Measurement, measurement
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.evaluation.verdicts import ROUNDING
from siamese_utils.training import pair_training
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.tasks import STUDY_THRESHOLD

IS_STUDY_SPLIT, UNSEEN_CLASSES = "study's choice", "unseen classes"  # columns of the outcomes
NETWORK_AUC, PIXELS_AUC = "AUC, unseen", "AUC of pixels, unseen"
TRAINED = "trained in full"
METRICS = tuple(f"{kind}, {s}" for kind in ("accuracy", "AUC") for s in TEST_SETS)


def outcomes(runs: Sequence[TrainingResult]) -> pd.DataFrame:
    """Return what each training came to, a row each, on pairs drawn as in the study.

    Columns: the names of its unseen classes, whether its choice is the study's, the accuracy at 0.5
    in % and the AUC on each test set, and the AUC of raw pixels by cosine on the unseen pairs.
    """
    return pd.DataFrame([_outcome(run) for run in runs])


def summarise(found: pd.DataFrame) -> pd.DataFrame:
    """Return where each figure lies, a row each: with the study's choice, and with the others.

    The last column counts the other choices below the mean of the study's. found: as `outcomes`
    returns it.
    """
    rows = {}
    for figure, (own, others) in _by_choice(found).items():
        rows[figure] = {
            "study's choice": measurement(own, _unit(figure)),
            "other choices": measurement(others, _unit(figure)),
            "lowest of them": _single(others.min(), _unit(figure)),
            "highest": _single(others.max(), _unit(figure)),
            "below the study's": int((others < own.mean() - ROUNDING).sum()),
        }
    return pd.DataFrame(rows).T.rename_axis("figure").infer_objects()


def standard_deviations(found: pd.DataFrame) -> pd.DataFrame:
    """Return how far each figure moves, a row each: SD of a training over choices, and over seeds.

    The ends of their ratio's 95 % interval, by Fisher's F, take chance as equally large for every
    choice. found: as `outcomes` returns it.
    """
    rows = {}
    for figure, (own, others) in _by_choice(found).items():
        unit = "points" if _unit(figure) else ""
        sizes = {"SD of choices": others.std(), "SD of seeds": own.std()}
        rows[figure] = {name: _single(size, unit) for name, size in sizes.items()}
        ratio = ratio_of_standard_deviations(others, own)
        rows[figure] |= dict(zip(("ratio", "at least", "at most"), ratio, strict=True))
    return pd.DataFrame(rows).T.rename_axis("figure").infer_objects()


def ratio_of_standard_deviations(
    first: Sequence[float], second: Sequence[float]
) -> tuple[float, float, float]:
    """Return the ratio of two standard deviations and the ends of its 95 % interval.

    The values are taken as independent and normally distributed.
    """
    ratio = float(np.std(first, ddof=1) / np.std(second, ddof=1))
    ends = [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]
    low, high = ratio / np.sqrt(special.fdtri(len(first) - 1, len(second) - 1, ends))
    return ratio, float(low), float(high)


def ranking(found: pd.DataFrame) -> pd.DataFrame:
    """Return the other choices, those with the lowest AUC on their unseen classes first."""
    columns = ["accuracy, unseen", NETWORK_AUC, PIXELS_AUC]
    ordered = (
        found[~found[IS_STUDY_SPLIT]].sort_values(NETWORK_AUC).set_index(UNSEEN_CLASSES)[columns]
    )
    return ordered.apply(lambda column: [_single(v, _unit(column.name)) for v in column])


def against_pixels(found: pd.DataFrame) -> tuple[int, Interval, Measurement]:
    """Return in how many other choices raw pixels judge unseen pairs better than the network.

    Then the share of these choices in %, with its exact 95 % interval, and the difference in AUC,
    pixels minus network, with its interval over the choices.
    """
    from scipy.stats import binomtest

    others = found[~found[IS_STUDY_SPLIT]]
    lost = int((others[PIXELS_AUC] > others[NETWORK_AUC] + ROUNDING).sum())
    share = binomtest(lost, len(others)).proportion_ci(CONFIDENCE)
    percent = 100 * lost / len(others), 100 * share.low, 100 * share.high
    difference = measurement(others[PIXELS_AUC]) - measurement(others[NETWORK_AUC])
    return lost, Interval(*percent, seeds=len(others), unit="%"), difference


def fully_trained(runs: Sequence[TrainingResult]) -> pd.DataFrame:
    """Return the AUC on all pairs of unseen classes, by trained networks and by ways without training.

    A row for each training, named by its unseen classes.
    """
    rows = {}
    for run in runs:
        experiment = pair_training.config_of(run)
        dataset, seeds = experiment.load_data(), [experiment.seed]
        ways = {
            TRAINED: pair_distances.of_trained([run]),
            "the same, untrained": pair_distances.of_untrained(dataset, seeds, cosine=True),
            "raw pixels": pair_distances.of_baseline("raw pixels", dataset, seeds, cosine=True),
            "silhouette": pair_distances.of_baseline("silhouette", dataset, seeds, cosine=True),
        }
        name = ", ".join(dataset.names_of(dataset.unseen))
        rows[name] = {way: one.curve(dataset.unseen).auc for way, [one] in ways.items()}
    return pd.DataFrame(rows).T.rename_axis(UNSEEN_CLASSES)


def _outcome(run: TrainingResult) -> dict[str, object]:
    experiment = pair_training.config_of(run)
    dataset = experiment.load_data()
    [one] = pair_distances.of_trained([run])
    curves = {s: one.sampled_curve(s) for s in TEST_SETS}
    split = dataset.split(experiment.seed)
    drawn = pair_distances.sample_test_pairs(dataset, split, experiment.seed)["unseen"]
    pixels = baselines.to_unit_length(baselines.pixels)(dataset.images)
    compared = RocCurve.from_pairs(pairs.distances(pixels, drawn), drawn.different)
    row = {UNSEEN_CLASSES: ", ".join(dataset.class_names[c] for c in dataset.unseen)}
    row |= {IS_STUDY_SPLIT: experiment.seen is None}
    row |= {f"accuracy, {s}": 100 * c.accuracy(STUDY_THRESHOLD) for s, c in curves.items()}
    row |= {f"AUC, {s}": curve.auc for s, curve in curves.items()}
    return row | {PIXELS_AUC: compared.auc}


def _by_choice(found: pd.DataFrame) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Return the values of each figure: with the study's choice, and with the others."""
    own, others = found[found[IS_STUDY_SPLIT]], found[~found[IS_STUDY_SPLIT]]
    return {figure: (own[figure], others[figure]) for figure in METRICS}


def _unit(figure: str) -> str:
    return "%" if figure.startswith("accuracy") else ""


def _single(value: float, unit: str) -> Interval:
    """Return a value that is no mean, so that a table prints it as it does the means."""
    return Interval(float(value), math.nan, math.nan, 0, unit)
