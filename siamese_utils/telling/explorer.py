"""What each threshold accepts, network by network: the data of the pages' threshold explorer."""

from collections.abc import Sequence

import numpy as np

from siamese_utils.images.dataset import Dataset
from siamese_utils.measuring.distances import Distances

# Thresholds from 0 to REACH margins: half of every margin, and 0.5 for the report's, are among them.
STEPS = 150
REACH = 1.5


def describe(found: Sequence[Distances], dataset: Dataset) -> dict[str, object]:
    """Return the shares of pairs that each of 151 thresholds accepts, mean over seeds.

    found: one network's pairs, one for each seed, trained on distances. The thresholds lie
    evenly from 0 to 1.5 margins. `same` and `different` hold, for each set, 151 shares of 0..1.
    """
    margin = found[0].margin
    thresholds = np.linspace(0, REACH * margin, STEPS + 1)
    told = {"margin": margin, "reach": REACH, "tuned": float(np.mean([one.tuned for one in found]))}
    for kind in ("same", "different"):
        told[kind] = {
            name: _mean_shares(found, classes, thresholds, kind)
            for name, classes in dataset.classes_of.items()
        }
    return told


def _mean_shares(
    found: Sequence[Distances], classes: Sequence[int], thresholds: np.ndarray, kind: str
) -> list[float]:
    shares = []
    for one in found:
        curve = one.curve(classes)
        shares.append(np.interp(thresholds, curve.threshold, getattr(curve, kind)))
    return [round(float(share), 5) for share in np.mean(shares, axis=0)]
