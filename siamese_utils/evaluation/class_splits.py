"""Results by class split: how much they vary with the choice of seen classes, and with the seed."""

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

# Columns of the table that `outcomes` returns.
IS_STUDY_SPLIT, UNSEEN_CLASSES = "study's split", "unseen classes"
NETWORK_AUC, PIXELS_AUC = "AUC, unseen", "AUC of pixels, unseen"
METRICS = tuple(f"{name}, {test_set}" for name in ("accuracy", "AUC") for test_set in TEST_SETS)
# A column of the table that `fully_trained` returns.
TRAINED = "trained in full"


def outcomes(results: Sequence[TrainingResult]) -> pd.DataFrame:
    """Evaluate training runs on pairs that are sampled as in the study.

    Returns:
        A row per run. Columns: the names of its unseen classes, whether its class split is the
        study's, the accuracy in % at threshold 0.5 and the AUC on each test set, and the AUC of the
        cosine similarity of raw pixels on the unseen pairs.
    """
    return pd.DataFrame([_outcome(result) for result in results])


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise each metric on the study's class split and on the other splits.

    Args:
        table: As `outcomes` returns it.

    Returns:
        A row per metric. The last column counts the other splits below the study's mean.
    """
    rows = {}
    for metric, (study, others) in _by_split(table).items():
        unit = _unit(metric)
        rows[metric] = {
            "study's split": measurement(study, unit),
            "other splits": measurement(others, unit),
            "lowest of them": _single_value(others.min(), unit),
            "highest": _single_value(others.max(), unit),
            "below the study's": int((others < study.mean() - ROUNDING).sum()),
        }
    return pd.DataFrame(rows).T.rename_axis("figure").infer_objects()


def standard_deviations(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the standard deviation over class splits with that over seeds, for each metric.

    Args:
        table: As `outcomes` returns it.

    Returns:
        A row per metric: both standard deviations, their ratio, and the ends of the ratio's 95 %
        interval, for which the variance over seeds is taken to be equal on every split.
    """
    rows = {}
    for metric, (study, others) in _by_split(table).items():
        unit = "points" if _unit(metric) else ""
        ratio, low, high = ratio_of_standard_deviations(others, study)
        rows[metric] = {
            "SD of splits": _single_value(others.std(), unit),
            "SD of seeds": _single_value(study.std(), unit),
            "ratio": ratio,
            "at least": low,
            "at most": high,
        }
    return pd.DataFrame(rows).T.rename_axis("figure").infer_objects()


def ratio_of_standard_deviations(
    first: Sequence[float], second: Sequence[float]
) -> tuple[float, float, float]:
    """Compute the ratio of two standard deviations and the ends of its 95 % interval.

    The interval is that of Fisher's F test, for independent and normally distributed values.
    """
    ratio = float(np.std(first, ddof=1) / np.std(second, ddof=1))
    quantiles = [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]
    low, high = ratio / np.sqrt(special.fdtri(len(first) - 1, len(second) - 1, quantiles))
    return ratio, float(low), float(high)


def ranking(table: pd.DataFrame) -> pd.DataFrame:
    """Rank the class splits other than the study's by the network's AUC, lowest first."""
    columns = ["accuracy, unseen", NETWORK_AUC, PIXELS_AUC]
    others = table[~table[IS_STUDY_SPLIT]].sort_values(NETWORK_AUC)
    ranked = others.set_index(UNSEEN_CLASSES)[columns]
    return ranked.apply(lambda column: [_single_value(v, _unit(column.name)) for v in column])


def against_pixels(table: pd.DataFrame) -> tuple[int, Interval, Measurement]:
    """Compare raw pixels with the network on the unseen classes of the other class splits.

    Args:
        table: As `outcomes` returns it.

    Returns:
        The number of splits on which pixels have the higher AUC, the share of these splits in % with
        its exact 95 % interval, and the difference in AUC over the splits, pixels minus network.
    """
    from scipy.stats import binomtest

    others = table[~table[IS_STUDY_SPLIT]]
    lost = int((others[PIXELS_AUC] > others[NETWORK_AUC] + ROUNDING).sum())
    share = binomtest(lost, len(others)).proportion_ci(CONFIDENCE)
    percent = 100 * lost / len(others), 100 * share.low, 100 * share.high
    difference = measurement(others[PIXELS_AUC]) - measurement(others[NETWORK_AUC])
    return lost, Interval(*percent, seeds=len(others), unit="%"), difference


def fully_trained(results: Sequence[TrainingResult]) -> pd.DataFrame:
    """Compute the AUC of trained networks and of untrained methods on all unseen pairs.

    Returns:
        A row per training run, named by its unseen classes; a column per method.
    """
    rows = {}
    for result in results:
        config = pair_training.config_of(result)
        dataset, seeds = config.load_data(), [config.seed]
        methods = {
            TRAINED: pair_distances.of_trained([result]),
            "the same, untrained": pair_distances.of_untrained(dataset, seeds, cosine=True),
            "raw pixels": pair_distances.of_baseline("raw pixels", dataset, seeds, cosine=True),
            "foreground mask": pair_distances.of_baseline(
                "foreground mask", dataset, seeds, cosine=True
            ),
        }
        rows[", ".join(dataset.names_of(dataset.unseen))] = {
            name: distances.curve(dataset.unseen).auc for name, [distances] in methods.items()
        }
    return pd.DataFrame(rows).T.rename_axis(UNSEEN_CLASSES)


def _outcome(result: TrainingResult) -> dict[str, object]:
    config = pair_training.config_of(result)
    dataset = config.load_data()
    [distances] = pair_distances.of_trained([result])
    curves = {test_set: distances.sampled_curve(test_set) for test_set in TEST_SETS}
    split = dataset.split(config.seed)
    sampled = pair_distances.sample_test_pairs(dataset, split, config.seed)["unseen"]
    pixels = baselines.to_unit_length(baselines.pixels)(dataset.images)
    pixels_curve = RocCurve.from_pairs(pairs.distances(pixels, sampled), sampled.different)
    return {
        UNSEEN_CLASSES: ", ".join(dataset.names_of(dataset.unseen)),
        IS_STUDY_SPLIT: config.seen is None,
        **{f"accuracy, {s}": 100 * c.accuracy(STUDY_THRESHOLD) for s, c in curves.items()},
        **{f"AUC, {s}": curve.auc for s, curve in curves.items()},
        PIXELS_AUC: pixels_curve.auc,
    }


def _by_split(table: pd.DataFrame) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Return the values of each metric: on the study's class split, and on the others."""
    study, others = table[table[IS_STUDY_SPLIT]], table[~table[IS_STUDY_SPLIT]]
    return {metric: (study[metric], others[metric]) for metric in METRICS}


def _unit(metric: str) -> str:
    return "%" if metric.startswith("accuracy") else ""


def _single_value(value: float, unit: str) -> Interval:
    """Return a value without an interval, so that tables print it as they print means."""
    return Interval(float(value), math.nan, math.nan, 0, unit)
