"""Metrics of encoders on each set of pairs, over all seeds.

The metrics of one encoder are a series (set, metric) -> Measurement. Those of several encoders are
a frame with one such row for each, so that `table["unseen", "AUC"]` is one metric of all encoders.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from siamese_utils.data import dataset as data
from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import class_pairs
from siamese_utils.evaluation.roc_curve import RocCurve

UNITLESS = ("AUC", "average precision")  # 0..1; all other metrics are in %
# threshold -> the accuracy that the study's tables are compared with
THRESHOLD_RULES = {"0.5": "accuracy, 0.5", "m/2": "accuracy, m/2", "tuned": "accuracy, tuned"}


def all_pairs_metrics(distances: Sequence[PairDistances], dataset: Dataset) -> pd.Series:
    """Compute the metrics of an encoder from all pairs of test images.

    Args:
        distances: One for each seed.
        dataset: The images.

    Returns:
        (set, metric) -> Measurement, with groups of images, for each test set.
    """
    measured = {}
    for name, classes in dataset.classes_of.items():
        of_seeds = [
            _scaled_metrics(d.curve(classes), d.validation_threshold, d.margin) for d in distances
        ]
        groups = [
            [
                _scaled_metrics(curve, d.validation_threshold, d.margin)
                for curve in d.group_curves(name)
            ]
            for d in distances
        ]
        for metric in of_seeds[0]:
            by_group = [[group[metric] for group in of_seed] for of_seed in groups]
            measured[name, metric] = Measurement(
                np.array([of_seed[metric] for of_seed in of_seeds]),
                np.array(by_group) if all(groups) else None,
                unit_of(metric),
            )
    return _to_series(measured)


def sampled_metrics(distances: Sequence[PairDistances]) -> pd.Series:
    """Compute the metrics of an encoder from the study's pairs.

    Args:
        distances: One for each seed. The threshold is tuned on the study's validation pairs.

    Returns:
        (set, metric) -> Measurement, for all five sets.
    """
    thresholds = [d.sampled_curve("validation").best_threshold for d in distances]
    measured = {}
    for name in data.SETS:
        rows = [
            _scaled_metrics(d.sampled_curve(name), threshold, d.margin)
            for d, threshold in zip(distances, thresholds, strict=True)
        ]
        for metric in rows[0]:
            measured[name, metric] = measurement([row[metric] for row in rows], unit_of(metric))
    return _to_series(measured)


def all_pairs_table(
    distances: Mapping[str, Sequence[PairDistances]], dataset: Dataset
) -> pd.DataFrame:
    """Return the metrics of several encoders from all pairs: a row for each encoder."""
    return _to_frame({name: all_pairs_metrics(d, dataset) for name, d in distances.items()})


def sampled_table(distances: Mapping[str, Sequence[PairDistances]]) -> pd.DataFrame:
    """Return the metrics of several encoders from the study's pairs: a row for each encoder."""
    return _to_frame({name: sampled_metrics(d) for name, d in distances.items()})


def unit_of(metric: str) -> str:
    """Return the unit of a metric: "%" or ""."""
    return "" if metric in UNITLESS else "%"


def auc_differences(auc: pd.DataFrame, method: str, label: str, units: str) -> pd.DataFrame:
    """Compare the AUC of one method with that of each other method, paired by row.

    Args:
        auc: A row for each class split, a column for each method.
        method: The column that is compared with the others.
        label: Short name of this method, for the head of the first column.
        units: Plural noun for the rows of `auc`, for the head of the second column.

    Returns:
        A row for each other method. Columns: the difference in AUC, the number of rows of `auc` in
        which the method is ahead, and the p-value of a paired t test, adjusted by `verdicts.holm` for
        the number of methods.
    """
    others = auc.columns.drop(method)
    adjusted = verdicts.holm([stats.ttest_rel(auc[method], auc[other]).pvalue for other in others])
    rows = {
        other: {
            f"{label} minus method": measurement(auc[method]) - measurement(auc[other]),
            f"{units} ahead": int((auc[method] > auc[other] + verdicts.ROUNDING).sum()),
            "p (Holm)": float(f"{p:.2g}"),
        }
        for other, p in zip(others, adjusted, strict=True)
    }
    return pd.DataFrame(rows).T.rename_axis("method")


def auc_by_class_pair(distances: Sequence[PairDistances], dataset: Dataset) -> pd.DataFrame:
    """Compute the AUC for each two classes, of pairs within either against pairs across both.

    Returns:
        A row for each ordered pair of classes. Columns: x and y, the class names, and value, the
        mean over seeds; NaN for a class with itself.
    """
    auc = {(c, c): np.nan for c in dataset.classes}
    for a, b in class_pairs(dataset.classes):
        curves = [d.all_pairs.curve([(a, a), (b, b)], [(a, b)]) for d in distances]
        auc[a, b] = auc[b, a] = float(np.mean([curve.auc for curve in curves]))
    names = dataset.class_names
    rows = [(names[a], names[b], value) for (a, b), value in sorted(auc.items())]
    return pd.DataFrame(rows, columns=["x", "y", "value"])


def pair_kinds(dataset: Dataset) -> dict[str, list[tuple[int, int]]]:
    """Return the class pairs of the test set *all*, grouped by label and by seen and unseen."""
    seen, unseen = dataset.seen, dataset.unseen
    return {
        "same, seen": [(c, c) for c in seen],
        "same, unseen": [(c, c) for c in unseen],
        "different, both seen": class_pairs(seen),
        "different, both unseen": class_pairs(unseen),
        "different, one of each": [(a, b) for a in seen for b in unseen],
    }


def accuracy_by_kind(distances: Sequence[PairDistances], dataset: Dataset) -> pd.Series:
    """Return the accuracy on each group of `pair_kinds` at the tuned threshold, in %."""
    accuracies = {
        kind: share_correct(distances, cells, kind.startswith("different"))
        for kind, cells in pair_kinds(dataset).items()
    }
    return pd.Series(accuracies, name="classified correctly", dtype=object).rename_axis("pairs")


def share_correct(
    distances: Sequence[PairDistances], cells: list[tuple[int, int]], different: bool
) -> Measurement:
    """Compute the accuracy on pairs of one label at the tuned threshold, in %.

    Args:
        distances: One for each seed.
        cells: The class pairs.
        different: Whether they are negative pairs.
    """
    shares = []
    for d in distances:
        accepts = d.all_pairs.edges[1:] <= d.validation_threshold * (1 + 1e-9)
        accepted = d.all_pairs.shares(cells)[accepts].sum()
        shares.append(100 * (1 - accepted if different else accepted))
    return measurement(shares, "%")


def _scaled_metrics(curve: RocCurve, tuned: float, margin: float | None) -> dict[str, float]:
    """Return the metrics of a curve, in their units."""
    metrics = curve.compute_metrics(tuned, margin)
    return {name: 100 * v if unit_of(name) == "%" else v for name, v in metrics.items()}


def _to_series(measured: dict[tuple[str, str], Measurement]) -> pd.Series:
    return pd.Series(measured, dtype=object).rename_axis(["set", "metric"])


def _to_frame(rows: dict[str, pd.Series]) -> pd.DataFrame:
    return pd.DataFrame(rows).T.rename_axis("encoder")
