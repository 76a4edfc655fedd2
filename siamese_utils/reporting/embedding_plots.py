"""Embeddings as tidy frames for plots: maps and spectra."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import geometry
from siamese_utils.reporting.plot_data import points, with_alt


def class_names(dataset: Dataset) -> dict[int, str]:
    """Return the name of each class on a map, seen classes first."""
    named = {c: dataset.class_names[c] for c in dataset.seen}
    return named | {c: f"{dataset.class_names[c]} (unseen)" for c in dataset.unseen}


def maps(flat: Mapping[str, np.ndarray], rows: np.ndarray, dataset: Dataset) -> pd.DataFrame:
    """Return maps of images as points, a series for each class: subplot -> (rows, 2)."""
    labels = dataset.labels[rows]
    names = class_names(dataset)
    ratios = [
        f"{subplot}, {pair_set}: {geometry.scatter_ratio(places[part], labels[part]):.2f}"
        for subplot, places in flat.items()
        for pair_set, classes in dataset.classes_of.items()
        for part in [np.isin(labels, classes)]
    ]
    frame = points({(name, ""): tuple(places.T) for name, places in flat.items()})
    words = f"Variance within classes over that between them, in the plane: {'; '.join(ratios)}."
    return with_alt(frame.assign(series=[names[c] for c in labels] * len(flat)), words)


def spectra(clouds: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return the shares of variance by direction: subplot -> series -> embeddings."""
    shares = {
        (subplot, series): geometry.spectrum(cloud)
        for subplot, of_subplot in clouds.items()
        for series, cloud in of_subplot.items()
    }
    firsts = [f"{', '.join(names)}: {of[:3].sum():.0%}" for names, of in shares.items()]
    frame = points({names: (np.arange(1, len(of) + 1), of) for names, of in shares.items()})
    return with_alt(frame, f"Share of the first three directions: {'; '.join(firsts)}.")
