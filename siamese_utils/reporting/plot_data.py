"""Tidy frames for plots: what is drawn is what the CSV of a figure holds.

Their columns are `subplot`, `series`, `x`, `y`, and where there are any `seed`, `low` and `high`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.evaluation import class_splits
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import results
from siamese_utils.training.cache import TrainingResult

BINS = 50  # of a histogram of distances
POINTS = 400  # of a ROC curve


def tidy(
    figures: pd.DataFrame | pd.Series, *, series: str, x: str = "", subplot: str = ""
) -> pd.DataFrame:
    """Return measured figures as points with intervals: which level of their names is which.

    Without `x` the mean is x, as `plots.dots` takes it; else y.
    """
    rows = results.to_rows(figures)
    value = "y" if x else "x"
    frame = pd.DataFrame({"subplot": rows[subplot] if subplot else "", "series": rows[series]})
    if x:
        frame["x"] = rows[x].astype(str)
    return frame.assign(**{value: rows["mean"], "low": rows["low"], "high": rows["high"]})


def with_published(
    frame: pd.DataFrame, published: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Return points with the study's own beside them: published: series -> subplot -> figure."""
    rows = [
        {"subplot": subplot, "series": f"{series}, 2019", "x": figure}
        for series, of_series in published.items()
        for subplot, figure in of_series.items()
    ]
    return pd.concat([frame, pd.DataFrame(rows)], ignore_index=True) if rows else frame


def by_seed(figures: pd.DataFrame, *, x: Sequence[object]) -> pd.DataFrame:
    """Return measured figures as a point for each seed: a row for each x, columns (subplot, series)."""
    rows = [
        {"subplot": subplot, "series": series, "x": str(at), "y": value, "seed": seed}
        for (subplot, series), column in figures.items()
        for at, figure in zip(x, column, strict=True)
        for seed, value in enumerate(figure.whole)
    ]
    return pd.DataFrame(rows)


def single_values(figures: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return figures without intervals as points: a subplot for each column, the last sorts them."""
    rows = figures.sort_values(columns[-1], ascending=False)[list(columns)]
    frame = rows.rename_axis("series").melt(ignore_index=False, var_name="subplot", value_name="x")
    return frame.reset_index().assign(low=np.nan, high=np.nan)


def with_ranges(found: pd.DataFrame) -> pd.DataFrame:
    """Return figures of `speed` as points with ends: a series for each way."""
    ends = {"x": found["median"], "low": found["lowest"], "high": found["highest"]}
    return pd.DataFrame({"subplot": "", "series": found.index, **ends}).reset_index(drop=True)


def by_size(sizes: pd.DataFrame) -> pd.DataFrame:
    """Return a benchmark's seconds as points: of an epoch by its images, of a count by its pairs."""
    whole = sizes[sizes["classes"] == sizes.groupby("what")["classes"].transform("max")]
    scales = {"an epoch": ("images", 1), "an exact count": ("pairs", 1e6)}
    curves = {}
    for what, part in whole.groupby("what"):
        column, scale = scales[what]
        by = f"{what}, by {'million ' if scale > 1 else ''}{column}"
        curves[by, "ours"] = part[column].to_numpy() / scale, part["seconds"].to_numpy()
    return points(curves)


def points(curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Return lines as points: (subplot, series) -> their x and y."""
    parts = [
        pd.DataFrame({"subplot": subplot, "series": series, "x": x, "y": y})
        for (subplot, series), (x, y) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)


def learning_curves(
    runs: Mapping[str, Sequence[TrainingResult]],
    figures: Mapping[str, str],
    parts: Sequence[str] = ("training", "validation"),
) -> pd.DataFrame:
    """Return figures against the epoch: key of a history -> name of its subplot.

    A series is named by its runs and, unless there is one alone, its part.
    """
    rows = []
    for key, label in figures.items():
        for name, of_name in runs.items():
            for part in parts:
                for seed, run in enumerate(of_name):
                    values = run.history[key if part == "training" else f"val_{key}"]
                    names = {"subplot": label, "series": name, "seed": seed}
                    names |= {"series": f"{name}, {part}"} if len(parts) > 1 else {}
                    rows += [names | {"x": e, "y": value} for e, value in enumerate(values, 1)]
    return pd.DataFrame(rows)


def histogram(judged: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Return the shares of same and different pairs by distance: subplot -> distances and labels.

    The farthest thousandth of a subplot's pairs is left out: it would leave the rest no room.
    """
    curves, medians = {}, []
    for subplot, (distance, different) in judged.items():
        edges = np.linspace(0, np.quantile(distance, 0.999), BINS + 1)
        for name, kind in (("same", ~different), ("different", different)):
            share = np.histogram(distance[kind], edges)[0] / kind.sum()
            curves[subplot, name] = edges[:-1], share
            medians.append(f"{subplot}, {name}: {np.median(distance[kind]):.3g}")
    return with_alt(points(curves), f"Histograms. Median distances: {'; '.join(medians)}.")


def roc(found: Mapping[str, PairDistances], sets: Sequence[str] = TEST_SETS) -> pd.DataFrame:
    """Return ROC curves of the study's pairs: a subplot for each set, a series for each encoder."""
    curves, areas = {}, []
    for pair_set in sets:
        for name, one in found.items():
            curve = one.sampled_curve(pair_set)
            keep = np.linspace(0, len(curve.same) - 1, min(len(curve.same), POINTS)).astype(int)
            curves[pair_set, name] = 1 - curve.same[keep], 1 - curve.different[keep]
            areas.append(f"{pair_set}, {name}: {curve.auc:.3f}")
    return with_alt(points(curves), f"Curves from corner to corner. AUC: {'; '.join(areas)}.")


def accuracy_by_threshold(
    found: Mapping[str, Sequence[PairDistances]], relative: np.ndarray
) -> pd.DataFrame:
    """Return accuracy in % against the threshold in margins, on the study's pairs, mean over seeds."""
    curves = {}
    for pair_set in TEST_SETS:
        for name, of_name in found.items():
            values = [d.sampled_curve(pair_set).accuracy(relative * d.margin) for d in of_name]
            curves[pair_set, name] = relative, 100 * np.mean(values, axis=0)
    return with_best_thresholds(curves)


def with_best_thresholds(
    curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
) -> pd.DataFrame:
    """Return curves of accuracy as `points` does; their words say where each is highest."""
    tops = [f"{', '.join(filter(None, n))}: {x[y.argmax()]:.2f}" for n, (x, y) in curves.items()]
    return with_alt(
        points(curves), f"Thresholds of highest accuracy, in margins: {'; '.join(tops)}."
    )


def by_class_split(found: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies at 0.5 of `class_splits.outcomes` as points: a subplot for each test set."""
    kinds = np.where(found[class_splits.IS_STUDY_SPLIT], "the study's", "other choices")
    parts, ranges = [], []
    for pair_set in TEST_SETS:
        values = found[f"accuracy, {pair_set}"]
        parts.append(pd.DataFrame({"subplot": pair_set, "series": kinds, "x": values}))
        own, others = (
            values[found[class_splits.IS_STUDY_SPLIT]],
            values[~found[class_splits.IS_STUDY_SPLIT]],
        )
        words = f"{others.min():.1f} to {others.max():.1f}, the study's {own.mean():.1f}"
        ranges.append(f"{pair_set}: {words}")
    frame = pd.concat(parts, ignore_index=True)
    return with_alt(frame, f"Range over the choices, and mean of the study's. {'; '.join(ranges)}.")


def with_alt(frame: pd.DataFrame, words: str) -> pd.DataFrame:
    """Return a frame that carries its own alt text."""
    frame.attrs["alt"] = words
    return frame


def best_thresholds(curves: pd.DataFrame) -> pd.DataFrame:
    """Return where each line is highest: a row for each series, a column for each subplot."""
    highest = curves.loc[curves.groupby(["subplot", "series"])["y"].idxmax()]
    found = highest.pivot(index="series", columns="subplot", values="x").round(2)
    return found[list(dict.fromkeys(curves["subplot"]))]
