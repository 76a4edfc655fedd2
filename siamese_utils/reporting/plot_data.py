"""Tidy data frames for the plot functions.

A frame has the columns `subplot`, `series`, `x` and `y`, and if needed `seed`, `low` and `high`. A
figure shows exactly what its CSV holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.evaluation import geometry
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import results
from siamese_utils.training.cache import TrainingResult

BINS = 50  # of a histogram of distances
POINTS = 400  # of a ROC curve, at most

Curves = Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]  # (subplot, series) -> x, y


def tidy(
    metrics: pd.DataFrame | pd.Series, *, series: str, x: str = "", subplot: str = ""
) -> pd.DataFrame:
    """Return measured values as points with intervals.

    Args:
        metrics: The measured values.
        series: The level of their labels that names the series.
        x: The level that gives x, with the mean as y; "": the mean is x, as `plots.dots` takes it.
        subplot: The level that names the subplot; "": there is one subplot.
    """
    rows = results.to_rows(metrics)
    frame = pd.DataFrame({"subplot": rows[subplot] if subplot else "", "series": rows[series]})
    if x:
        frame["x"] = rows[x].astype(str)
    mean = "y" if x else "x"
    return frame.assign(**{mean: rows["mean"], "low": rows["low"], "high": rows["high"]})


def with_published(
    frame: pd.DataFrame, published: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Return points with the study's published values added: series -> subplot -> value."""
    rows = [
        {"subplot": subplot, "series": f"{series}, 2019", "x": value}
        for series, values in published.items()
        for subplot, value in values.items()
    ]
    return pd.concat([frame, pd.DataFrame(rows)], ignore_index=True) if rows else frame


def by_seed(metrics: pd.DataFrame, *, x: Sequence[object]) -> pd.DataFrame:
    """Return measured values as one point for each seed.

    Args:
        metrics: A row for each x, columns (subplot, series).
        x: The x of each row.
    """
    rows = [
        {"subplot": subplot, "series": series, "x": str(at), "y": value, "seed": seed}
        for (subplot, series), column in metrics.items()
        for at, metric in zip(x, column, strict=True)
        for seed, value in enumerate(metric.values)
    ]
    return pd.DataFrame(rows)


def single_values(values: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return values without intervals as points.

    Args:
        values: A row for each series.
        columns: The columns to plot, a subplot each; the last one sorts the rows.
    """
    rows = values.sort_values(columns[-1], ascending=False)[list(columns)]
    frame = rows.rename_axis("series").melt(ignore_index=False, var_name="subplot", value_name="x")
    return frame.reset_index().assign(low=np.nan, high=np.nan)


def with_ranges(seconds: pd.DataFrame) -> pd.DataFrame:
    """Return benchmark timings as points with ranges, a series for each row.

    Args:
        seconds: Columns `median`, `lowest` and `highest`.
    """
    ranges = {"x": seconds["median"], "low": seconds["lowest"], "high": seconds["highest"]}
    return pd.DataFrame({"subplot": "", "series": seconds.index, **ranges}).reset_index(drop=True)


def by_size(sizes: pd.DataFrame) -> pd.DataFrame:
    """Return a benchmark's seconds as points: of an epoch by images, of metrics on all pairs by pairs.

    Args:
        sizes: Columns `what`, `classes`, `images`, `pairs` and `seconds`. Only rows with the
            largest number of classes are plotted.
    """
    largest = sizes[sizes["classes"] == sizes.groupby("what")["classes"].transform("max")]
    scales = {"an epoch": ("images", 1), "metrics on all pairs": ("pairs", 1e6)}
    curves = {}
    for what, part in largest.groupby("what"):
        column, scale = scales[what]
        subplot = f"{what}, by {'million ' if scale > 1 else ''}{column}"
        curves[subplot, "ours"] = part[column].to_numpy() / scale, part["seconds"].to_numpy()
    return points(curves)


def points(curves: Curves) -> pd.DataFrame:
    """Return curves as points."""
    parts = [
        pd.DataFrame({"subplot": subplot, "series": series, "x": x, "y": y})
        for (subplot, series), (x, y) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)


def learning_curves(
    training_results: Mapping[str, Sequence[TrainingResult]],
    metrics: Mapping[str, str],
    parts: Sequence[str] = ("training", "validation"),
) -> pd.DataFrame:
    """Return learning curves as points, for each seed.

    Args:
        training_results: Series -> one training result for each seed.
        metrics: Name of a metric in the history -> its subplot.
        parts: `training`, `validation` or both; the series are named by their part if there are
            both.
    """
    rows = []
    for metric, subplot in metrics.items():
        for name, seed_results in training_results.items():
            for part in parts:
                series = f"{name}, {part}" if len(parts) > 1 else name
                for seed, result in enumerate(seed_results):
                    values = result.history[metric if part == "training" else f"val_{metric}"]
                    labels = {"subplot": subplot, "series": series, "seed": seed}
                    rows += [labels | {"x": e, "y": value} for e, value in enumerate(values, 1)]
    return pd.DataFrame(rows)


def histogram(distances: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Return histograms of the distances of positive ("same") and negative ("different") pairs.

    Distances above the 99.9th percentile of a subplot are left out, as they would compress the rest.

    Args:
        distances: Subplot -> distances (pairs,), and whether each pair is negative (pairs,).
    """
    curves, medians = {}, []
    for subplot, (distance, different) in distances.items():
        edges = np.linspace(0, np.quantile(distance, 0.999), BINS + 1)
        for name, selected in (("same", ~different), ("different", different)):
            share = np.histogram(distance[selected], edges)[0] / selected.sum()
            curves[subplot, name] = edges[:-1], share
            medians.append(f"{subplot}, {name}: {np.median(distance[selected]):.3g}")
    return with_alt(points(curves), f"Histograms. Median distances: {'; '.join(medians)}.")


def roc(distances: Mapping[str, PairDistances], sets: Sequence[str] = TEST_SETS) -> pd.DataFrame:
    """Return ROC curves of the study's pairs: a subplot for each set, a series for each encoder."""
    curves, areas = {}, []
    for pair_set in sets:
        for name, encoder_distances in distances.items():
            curve = encoder_distances.sampled_curve(pair_set)
            keep = np.linspace(0, len(curve.tar) - 1, min(len(curve.tar), POINTS)).astype(int)
            curves[pair_set, name] = curve.far[keep], curve.tar[keep]
            areas.append(f"{pair_set}, {name}: {curve.auc:.3f}")
    return with_alt(points(curves), f"Curves from corner to corner. AUC: {'; '.join(areas)}.")


def accuracy_by_threshold(
    distances: Mapping[str, Sequence[PairDistances]], thresholds: np.ndarray
) -> pd.DataFrame:
    """Return the accuracy by threshold: a subplot for each test set, a series for each encoder.

    Args:
        distances: Encoder -> its pair distances, one for each seed.
        thresholds: Thresholds in units of the margin.

    Returns:
        The thresholds as x, and as y the accuracy on the study's pairs in %, averaged over seeds.
    """
    curves = {}
    for pair_set in TEST_SETS:
        for name, seed_distances in distances.items():
            values = [
                d.sampled_curve(pair_set).accuracy(thresholds * d.margin) for d in seed_distances
            ]
            curves[pair_set, name] = thresholds, 100 * np.mean(values, axis=0)
    return with_best_thresholds(curves)


def with_best_thresholds(curves: Curves) -> pd.DataFrame:
    """Return accuracy curves as points, with the best threshold of each in the alt text."""
    best = [f"{', '.join(filter(None, n))}: {x[y.argmax()]:.2f}" for n, (x, y) in curves.items()]
    alt = f"Thresholds of highest accuracy, in margins: {'; '.join(best)}."
    return with_alt(points(curves), alt)


def best_thresholds(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the x of each curve's maximum: a row for each series, a column for each subplot."""
    highest = curves.loc[curves.groupby(["subplot", "series"])["y"].idxmax()]
    thresholds = highest.pivot(index="series", columns="subplot", values="x").round(2)
    return thresholds[list(dict.fromkeys(curves["subplot"]))]


def class_names(dataset: Dataset) -> dict[int, str]:
    """Return the name of each class on a map, seen classes first."""
    names = {c: dataset.class_names[c] for c in dataset.seen}
    return names | {c: f"{dataset.class_names[c]} (unseen)" for c in dataset.unseen}


def maps(coordinates: Mapping[str, np.ndarray], rows: np.ndarray, dataset: Dataset) -> pd.DataFrame:
    """Return maps of embeddings as points, with a series for each class.

    Args:
        coordinates: Subplot -> (images, 2) positions.
        rows: (images,) positions of the images in the data set.
        dataset: The data set.
    """
    labels = dataset.labels[rows]
    names = class_names(dataset)
    ratios = [
        f"{subplot}, {pair_set}: {geometry.scatter_ratio(xy[selected], labels[selected]):.2f}"
        for subplot, xy in coordinates.items()
        for pair_set, classes in dataset.classes_of.items()
        for selected in [np.isin(labels, classes)]
    ]
    frame = points({(subplot, ""): tuple(xy.T) for subplot, xy in coordinates.items()})
    alt = f"Variance within classes over that between them, in the plane: {'; '.join(ratios)}."
    return with_alt(frame.assign(series=[names[c] for c in labels] * len(coordinates)), alt)


def spectra(embeddings: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return the share of the variance in each principal direction: subplot -> series -> embeddings."""
    spectrum = {
        (subplot, name): geometry.spectrum(vectors)
        for subplot, series in embeddings.items()
        for name, vectors in series.items()
    }
    frame = points({key: (np.arange(1, len(s) + 1), s) for key, s in spectrum.items()})
    firsts = [f"{', '.join(key)}: {shares[:3].sum():.0%}" for key, shares in spectrum.items()]
    return with_alt(frame, f"Share of the first three directions: {'; '.join(firsts)}.")


def with_alt(frame: pd.DataFrame, alt: str) -> pd.DataFrame:
    """Return a frame with its own alt text."""
    frame.attrs["alt"] = alt
    return frame
