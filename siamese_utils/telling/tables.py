"""Results as frames: for tables of measured figures, and tidy ones for plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from siamese_utils.images.dataset import TEST_SETS, Dataset
from siamese_utils.learning.store import Run
from siamese_utils.measuring import geometry, lottery, verdicts
from siamese_utils.measuring.distances import Distances
from siamese_utils.measuring.panel import RULES
from siamese_utils.telling import results, study

if TYPE_CHECKING:
    import keras

BINS = 50  # of a histogram of distances
POINTS = 400  # of a ROC curve
NEAR = 2.0  # points of %: nearer than this, one of our figures is one of the study's


def accuracy(drawn: pd.Series, margin: float, published: Mapping[str, float]) -> pd.DataFrame:
    """Return the study's table of an encoder: a row for each threshold, a column for each set.

    drawn: its panel from the study's pairs; published: the study's figures, or {}.
    """
    shown = ["train", *TEST_SETS]
    rules = {"0.5 = m/2": RULES["0.5"]} if margin == 1 else {r: RULES[r] for r in ("0.5", "m/2")}
    rules |= {"tuned": RULES["tuned"], "none: AUC": "AUC"}
    rows = {label: {s: drawn[s, figure] for s in shown} for label, figure in rules.items()}
    if published:
        training = study.TRAINING[_model_of(published), margin]
        rows["0.5, in 2019"] = {"train": " / ".join(f"{v:.2f}" for v in training)} | {
            s: f"{value:.2f}" for s, value in published.items()
        }
    return pd.DataFrame(rows).T.rename_axis("threshold")


def gaps(drawn: pd.Series, published: Mapping[str, float]) -> pd.DataFrame:
    """Return our accuracy at 0.5 minus the study's on each set, and whether the two agree.

    They do where the 95 % interval of our mean lies within 2 points of the study's figure.
    """
    ours = pd.Series({s: drawn[s, RULES["0.5"]] for s in published}, dtype=object)
    minus = ours - pd.Series(published)
    near = [verdicts.judge_value(gap, 0, 0, NEAR) for gap in minus]
    words = {verdicts.HOLDS: "yes", verdicts.FAILS: "no", verdicts.UNDECIDED: "open"}
    frame = pd.DataFrame({"2019": published, "ours": ours, "ours minus 2019": minus})
    return frame.assign(**{"within 2 points": [words[v] for v in near]}).rename_axis("set")


def say_gaps(found: pd.DataFrame) -> tuple[str, str]:
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
    answer = f"Only on {' and '.join(near)} classes." if near else "On no set."
    return answer, f"Ours minus the study's is {', '.join(words)}."


def layers(encoder: keras.Model) -> pd.DataFrame:
    """Return the layers of an encoder: name, output of one image, parameters."""
    rows = [(lay.name, str(lay.output.shape[1:]), lay.count_params()) for lay in encoder.layers]
    return pd.DataFrame(rows, columns=["layer", "output of one image", "parameters"])


def ranked(figures: pd.DataFrame, by: str | tuple[str, str]) -> pd.DataFrame:
    """Return rows of measured figures from the highest mean of a column to the lowest."""
    means = np.array([figure.interval.mean for figure in figures[by]])
    return figures.iloc[np.argsort(-means, kind="stable")]


def worst_pairs(distance: np.ndarray, different: np.ndarray, count: int = 6) -> np.ndarray:
    """Return the positions of the most wrongly judged pairs, (2 count,) at most.

    First the same pairs farthest apart, then the different pairs nearest to each other.
    """
    order = np.argsort(distance, kind="stable")
    apart = order[~different[order]][::-1][:count]
    return np.concatenate([apart, order[different[order]][:count]])


# Tidy frames for plots -------------------------------------------------------------


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


def points(curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Return lines as points: (subplot, series) -> their x and y."""
    parts = [
        pd.DataFrame({"subplot": subplot, "series": series, "x": x, "y": y})
        for (subplot, series), (x, y) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)


def learning_curves(
    runs: Mapping[str, Sequence[Run]],
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


def histories(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the learning curves of one training's seeds: a row a seed, a column for each figure."""
    return pd.DataFrame([run.history for run in runs]).rename_axis("seed")


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
    return _told(points(curves), f"Histograms. Median distances: {'; '.join(medians)}.")


def roc(found: Mapping[str, Distances], sets: Sequence[str] = TEST_SETS) -> pd.DataFrame:
    """Return ROC curves of the study's pairs: a subplot for each set, a series for each encoder."""
    curves, areas = {}, []
    for pair_set in sets:
        for name, one in found.items():
            curve = one.curve_of_drawn(pair_set)
            keep = np.linspace(0, len(curve.same) - 1, min(len(curve.same), POINTS)).astype(int)
            curves[pair_set, name] = 1 - curve.same[keep], 1 - curve.different[keep]
            areas.append(f"{pair_set}, {name}: {curve.auc:.3f}")
    return _told(points(curves), f"Curves from corner to corner. AUC: {'; '.join(areas)}.")


def accuracy_by_threshold(
    found: Mapping[str, Sequence[Distances]], relative: np.ndarray
) -> pd.DataFrame:
    """Return accuracy in % against the threshold in margins, on the study's pairs, mean over seeds."""
    curves = {}
    for pair_set in TEST_SETS:
        for name, of_name in found.items():
            values = [d.curve_of_drawn(pair_set).accuracy(relative * d.margin) for d in of_name]
            curves[pair_set, name] = relative, 100 * np.mean(values, axis=0)
    tops = [f"{s}, {name}: {x[y.argmax()]:.2f}" for (s, name), (x, y) in curves.items()]
    return _told(points(curves), f"Thresholds of highest accuracy, in margins: {'; '.join(tops)}.")


def by_choice(found: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies at 0.5 of `lottery.outcomes` as points: a subplot for each test set."""
    kinds = np.where(found[lottery.OWN], "the study's", "other choices")
    parts, ranges = [], []
    for pair_set in TEST_SETS:
        values = found[f"accuracy, {pair_set}"]
        parts.append(pd.DataFrame({"subplot": pair_set, "series": kinds, "x": values}))
        own, others = values[found[lottery.OWN]], values[~found[lottery.OWN]]
        words = f"{others.min():.1f} to {others.max():.1f}, the study's {own.mean():.1f}"
        ranges.append(f"{pair_set}: {words}")
    frame = pd.concat(parts, ignore_index=True)
    return _told(frame, f"Range over the choices, and mean of the study's. {'; '.join(ranges)}.")


def maps(embeddings: np.ndarray, rows: np.ndarray, dataset: Dataset) -> pd.DataFrame:
    """Return two maps of images as points, a series for each class; embeddings: (rows, dimensions)."""
    labels = dataset.labels[rows]
    unseen = {c: " (unseen)" for c in dataset.unseen}
    names = [dataset.class_names[c] + unseen.get(c, "") for c in labels]
    flat = {(name, ""): tuple(of.T) for name, of in geometry.maps(embeddings).items()}
    ratios = []
    for pair_set, classes in dataset.classes_of.items():
        part = np.isin(labels, classes)
        ratio = geometry.scatter_ratio(embeddings[part], labels[part])
        ratios.append(f"{pair_set}: {ratio:.2f}")
    frame = points(flat).assign(series=names * len(flat))
    return _told(frame, f"Variance within classes over that between them: {'; '.join(ratios)}.")


def spectra(clouds: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return the shares of variance by direction: subplot -> series -> embeddings."""
    shares = {
        (subplot, series): geometry.spectrum(cloud)
        for subplot, of_subplot in clouds.items()
        for series, cloud in of_subplot.items()
    }
    firsts = [f"{', '.join(names)}: {of[:3].sum():.0%}" for names, of in shares.items()]
    frame = points({names: (np.arange(1, len(of) + 1), of) for names, of in shares.items()})
    return _told(frame, f"Share of the first three directions: {'; '.join(firsts)}.")


def tops(curves: pd.DataFrame) -> pd.DataFrame:
    """Return where each line is highest: a row for each series, a column for each subplot."""
    highest = curves.loc[curves.groupby(["subplot", "series"])["y"].idxmax()]
    found = highest.pivot(index="series", columns="subplot", values="x").round(2)
    return found[list(dict.fromkeys(curves["subplot"]))]


def _told(frame: pd.DataFrame, words: str) -> pd.DataFrame:
    """Return a frame that carries its own alt text."""
    frame.attrs["alt"] = words
    return frame


def _model_of(published: Mapping[str, float]) -> str:
    same = (study.TABLES[list(published)] == pd.Series(published)).all(axis=1)
    return study.TABLES.loc[same, "model"].item()
