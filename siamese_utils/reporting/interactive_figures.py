"""What readers can handle on a page: the data of what takes a figure's place where scripts run.

Each function returns what `show.figure` takes as `live`; `kind` names the script that it is for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import plot_data

# Thresholds from 0 to REACH margins: half of every margin, and 0.5 for the report's, are among them.
NUM_THRESHOLDS = 150
MAX_THRESHOLD = 1.5
TASK = (
    "Find the threshold that rescues margin 5."  # a task, where the networks have margins 1 and 5
)


def thresholds(found: Mapping[str, Sequence[PairDistances]], dataset: Dataset) -> dict[str, Any]:
    """Return the shares of pairs that each of 151 thresholds accepts, network by network.

    found: of each network one for each seed, trained on distances; the shares are means over these.
    The thresholds lie evenly from 0 to 1.5 margins. `same` and `different` hold, for each of the
    `sets`, 151 shares of 0..1. A `task` may be added.
    """
    networks = [{"name": name} | _accept_rates(of_name, dataset) for name, of_name in found.items()]
    sets = list(dataset.classes_of)
    return {"kind": "thresholds", "reach": MAX_THRESHOLD, "sets": sets, "networks": networks}


def accuracy_curves(told: Mapping[str, Any]) -> pd.DataFrame:
    """Return what `thresholds` told of the set all as accuracy in % against the threshold in margins."""
    curves = {}
    for network in told["networks"]:
        same, different = (np.array(network[kind]["all"]) for kind in ("same", "different"))
        at = np.linspace(0, told["reach"], len(same))
        curves["", network["name"]] = at, 50 * (same + 1 - different)
    return plot_data.with_best_thresholds(curves)


def _accept_rates(found: Sequence[PairDistances], dataset: Dataset) -> dict[str, Any]:
    margin = found[0].margin
    asked = np.linspace(0, MAX_THRESHOLD * margin, NUM_THRESHOLDS + 1)
    told = {"margin": margin, "tuned": float(np.mean([one.validation_threshold for one in found]))}
    for kind in ("same", "different"):
        told[kind] = {
            name: _mean_shares(found, classes, asked, kind)
            for name, classes in dataset.classes_of.items()
        }
    return told


def _mean_shares(
    found: Sequence[PairDistances], classes: Sequence[int], asked: np.ndarray, kind: str
) -> list[float]:
    shares = []
    for one in found:
        curve = one.curve(classes)
        shares.append(np.interp(asked, curve.threshold, getattr(curve, kind)))
    return [round(float(share), 5) for share in np.mean(shares, axis=0)]
