"""The panel of an encoder: its figures of merit on each set of pairs, over all seeds.

A panel is a series (set, figure) -> Measured; panels of several encoders are a frame of such rows,
so that `panels["unseen", "AUC"]` holds one figure of each.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils.data import dataset as data
from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import class_pairs
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.evaluation.verdicts import ROUNDING

UNITLESS = ("AUC", "average precision")  # 0..1; all other figures are in %
# the accuracies that the study's tables are held against, by the name of the threshold
THRESHOLD_RULES = {"0.5": "accuracy, 0.5", "m/2": "accuracy, m/2", "tuned": "accuracy, tuned"}


def all_pairs_metrics(found: Sequence[PairDistances], dataset: Dataset) -> pd.Series:
    """Return the panel from all pairs of test images, with groups of them, for each test set."""
    figures = {}
    for name, classes in dataset.classes_of.items():
        whole = [
            _in_units(one.curve(classes), one.validation_threshold, one.margin) for one in found
        ]
        groups = [
            [
                _in_units(curve, one.validation_threshold, one.margin)
                for curve in one.group_curves(name)
            ]
            for one in found
        ]
        for figure in whole[0]:
            of_groups = [[of_group[figure] for of_group in of_seed] for of_seed in groups]
            figures[name, figure] = Measurement(
                np.array([of_seed[figure] for of_seed in whole]),
                np.array(of_groups) if all(groups) else None,
                unit_of(figure),
            )
    return _series(figures)


def sampled_metrics(found: Sequence[PairDistances]) -> pd.Series:
    """Return the panel from the study's pairs, for all five sets; tuned on those of validation."""
    tuned = [one.sampled_curve("validation").best_threshold for one in found]
    figures = {}
    for name in data.SETS:
        rows = [
            _in_units(one.sampled_curve(name), threshold, one.margin)
            for one, threshold in zip(found, tuned, strict=True)
        ]
        for figure in rows[0]:
            figures[name, figure] = measurement([row[figure] for row in rows], unit_of(figure))
    return _series(figures)


def all_pairs_table(found: Mapping[str, Sequence[PairDistances]], dataset: Dataset) -> pd.DataFrame:
    """Return the panels of several encoders from all pairs: a row each."""
    return _rows(found, lambda of_one: all_pairs_metrics(of_one, dataset))


def sampled_table(found: Mapping[str, Sequence[PairDistances]]) -> pd.DataFrame:
    """Return the panels of several encoders from the study's pairs: a row each."""
    return _rows(found, sampled_metrics)


def unit_of(figure: str) -> str:
    """Return the unit of a figure of merit."""
    return "" if figure in UNITLESS else "%"


def auc_differences(areas: pd.DataFrame, way: str, name: str, over: str) -> pd.DataFrame:
    """Return the AUC of one way minus that of each other, paired by row: a row for each other way.

    areas: a row for each split or choice of classes, a column for each way; name: of the one in the
    first column's head; over: what the second column, in which it counts where it is ahead, counts.
    """
    rows = {
        other: {
            f"{name} minus it": measurement(areas[way]) - measurement(areas[other]),
            f"{over} ahead": int((areas[way] > areas[other] + ROUNDING).sum()),
        }
        for other in areas.columns.drop(way)
    }
    return pd.DataFrame(rows).T.rename_axis("way")


def auc_by_class_pair(found: Sequence[PairDistances], dataset: Dataset) -> pd.DataFrame:
    """Return the AUC of telling each two classes apart, mean over seeds: x, y (names), value.

    It sets the pairs of one image of each against the pairs inside either; NaN for a class itself.
    """
    areas = {(c, c): np.nan for c in dataset.classes}
    for a, b in class_pairs(dataset.classes):
        curves = [one.all_pairs.curve([(a, a), (b, b)], [(a, b)]) for one in found]
        areas[a, b] = areas[b, a] = float(np.mean([curve.auc for curve in curves]))
    names = dataset.class_names
    rows = [(names[a], names[b], area) for (a, b), area in sorted(areas.items())]
    return pd.DataFrame(rows, columns=["x", "y", "value"])


def pair_kinds(dataset: Dataset) -> dict[str, list[tuple[int, int]]]:
    """Return the class pairs of the set *all*, by kind."""
    seen, unseen = dataset.seen, dataset.unseen
    return {
        "same, seen": [(c, c) for c in seen],
        "same, unseen": [(c, c) for c in unseen],
        "different, both seen": class_pairs(seen),
        "different, both unseen": class_pairs(unseen),
        "different, one of each": [(a, b) for a in seen for b in unseen],
    }


def accuracy_by_kind(found: Sequence[PairDistances], dataset: Dataset) -> pd.Series:
    """Return the share of each kind of pairs on the right side of the tuned threshold, in %."""
    shares = {
        kind: share_correct(found, cells, kind.startswith("different"))
        for kind, cells in pair_kinds(dataset).items()
    }
    return pd.Series(shares, name="judged rightly", dtype=object).rename_axis("pairs")


def share_correct(
    found: Sequence[PairDistances], cells: list[tuple[int, int]], different: bool
) -> Measurement:
    """Return the share of these pairs on the right side of the tuned threshold, in %."""
    shares = []
    for one in found:
        edges = one.all_pairs.step * np.arange(1, one.all_pairs.counts.shape[2] + 1)
        accepted = one.all_pairs.shares(cells)[edges <= one.validation_threshold * (1 + 1e-9)].sum()
        shares.append(100 * (1 - accepted if different else accepted))
    return measurement(shares, "%")


def _in_units(curve: RocCurve, tuned: float, margin: float | None) -> dict[str, float]:
    found = curve.figures(tuned, margin)
    return {name: 100 * v if unit_of(name) == "%" else v for name, v in found.items()}


def _series(figures: dict[tuple[str, str], Measurement]) -> pd.Series:
    series = pd.Series(figures, dtype=object)
    return series.rename_axis(["set", "figure"])


def _rows(
    found: Mapping[str, Sequence[PairDistances]],
    measure: Callable[[Sequence[PairDistances]], pd.Series],
) -> pd.DataFrame:
    return pd.DataFrame({name: measure(of) for name, of in found.items()}).T.rename_axis("encoder")
