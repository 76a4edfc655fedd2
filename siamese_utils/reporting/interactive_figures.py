"""What readers can handle on a page: the data of what takes a figure's place where scripts run.

Each function returns what `show.figure` takes as `live`; `kind` names the script that it is for.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import geometry
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import embedding_plots, plot_data, plots

# Thresholds from 0 to REACH margins: half of every margin, and 0.5 for the report's, are among them.
NUM_THRESHOLDS = 150
MAX_THRESHOLD = 1.5
TASK = (
    "Find the threshold that rescues margin 5."  # a task, where the networks have margins 1 and 5
)
GRID = 1000  # a map's places are whole numbers up to this
SHEET_COLUMNS = 20  # images in a row of the sheet


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


def epochs(
    clouds: Mapping[int, np.ndarray],
    flat: Mapping[int, np.ndarray],
    rows: np.ndarray,
    dataset: Dataset,
) -> dict[str, Any]:
    """Return a training's embeddings on one map, moment by moment, and the images as one sheet.

    clouds: epochs trained -> (rows, dimensions); flat: the same, as `geometry.project_jointly` returns it.
    `places` holds, for each moment, an (x, y) of 0..1000 for each image; `ratios` the scatter ratio
    of seen and of unseen classes in all dimensions, or None where all of them have one mean.
    """
    stacked = np.stack(list(flat.values()))
    lowest, span = stacked.min(axis=(0, 1)), np.ptp(stacked, axis=(0, 1)).max()  # one for x and y
    labels = dataset.labels[rows]
    ratios = {
        pair_set: [_ratio(cloud, labels, dataset.classes_of[pair_set]) for cloud in clouds.values()]
        for pair_set in ("seen", "unseen")
    }
    names = embedding_plots.class_names(dataset)
    return {
        "kind": "epochs",
        "epochs": list(clouds),
        "grid": GRID,
        "places": np.rint(GRID * (stacked - lowest) / span).astype(int).tolist(),
        "class": [list(names).index(c) for c in labels],
        "classes": list(names.values()),
        "colours": list(plots.CLASS_COLOURS[: len(names)]),
        "seen": len(dataset.seen),
        "ratios": ratios,
        "sheet": _image_sheet(dataset.images[rows]),
        "across": SHEET_COLUMNS,
    }


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


def _ratio(cloud: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> float | None:
    part = np.isin(labels, classes)
    ratio = geometry.scatter_ratio(cloud[part], labels[part])
    return round(ratio, 3) if np.isfinite(ratio) else None


def _image_sheet(images: np.ndarray) -> str:
    """Return images side by side, so many in a row, as the address of a PNG that holds itself."""
    shown = plots.to_ink(images)
    missing = -len(shown) % SHEET_COLUMNS
    shown = np.concatenate([shown, np.full((missing, *shown.shape[1:]), 255, np.uint8)])
    rows = [
        np.concatenate(list(row), axis=1) for row in np.split(shown, len(shown) // SHEET_COLUMNS)
    ]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
