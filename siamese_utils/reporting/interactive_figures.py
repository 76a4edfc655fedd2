"""Data of the interactive figures.

Each function returns what `show.figure` takes as `live`; its `kind` is the name of the script that
draws it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import plot_data

# The thresholds are multiples of 0.01 margins. They include half of every margin, and for margin 5
# also 0.5, the threshold of the study.
NUM_THRESHOLDS = 150
MAX_THRESHOLD = 1.5
TASK = "Find the threshold at which margin 5 is as accurate as margin 1."  # for networks with margins 1 and 5


def thresholds(
    distances: Mapping[str, Sequence[PairDistances]], dataset: Dataset
) -> dict[str, Any]:
    """Return the shares of pairs accepted by each threshold from 0 to MAX_THRESHOLD margins.

    Args:
        distances: Network -> its pair distances, one for each seed. All have a margin.
        dataset: The data set.

    Returns:
        JSON-serialisable data. For each network, `same` and `different` hold for each of the `sets`
        the shares (0 to 1) of positive and negative pairs accepted by NUM_THRESHOLDS + 1 evenly
        spaced thresholds, averaged over the seeds. A `task` for the reader may be added.
    """
    networks = [
        {"name": name} | _accept_rates(by_seed, dataset) for name, by_seed in distances.items()
    ]
    sets = list(dataset.classes_of)
    return {"kind": "thresholds", "reach": MAX_THRESHOLD, "sets": sets, "networks": networks}


def accuracy_curves(live: Mapping[str, Any]) -> pd.DataFrame:
    """Return the accuracy on pairs of all classes in % by threshold in units of the margin.

    Args:
        live: As `thresholds` returns it.
    """
    curves = {}
    for network in live["networks"]:
        same, different = (np.array(network[label]["all"]) for label in ("same", "different"))
        at = np.linspace(0, live["reach"], len(same))
        curves["", network["name"]] = at, 50 * (same + 1 - different)
    return plot_data.with_best_thresholds(curves)


def _accept_rates(distances: Sequence[PairDistances], dataset: Dataset) -> dict[str, Any]:
    """Return the margin, the tuned threshold and the accept rates of a network."""
    margin = distances[0].margin
    at = np.linspace(0, MAX_THRESHOLD * margin, NUM_THRESHOLDS + 1)
    rates: dict[str, dict[str, list[float]]] = {"same": {}, "different": {}}
    for pair_set, classes in dataset.classes_of.items():
        curves = [d.curve(classes) for d in distances]
        tar = [np.interp(at, curve.threshold, curve.tar) for curve in curves]
        far = [np.interp(at, curve.threshold, curve.far) for curve in curves]
        for label, shares in (("same", tar), ("different", far)):
            rates[label][pair_set] = [round(float(s), 5) for s in np.mean(shares, axis=0)]
    tuned = float(np.mean([d.validation_threshold for d in distances]))
    return {"margin": margin, "tuned": tuned} | rates
