"""How well a verifier judges new classes before and after `add_classes`, and the old ones.

    python tests/benchmarks/new_classes.py

It writes reports/benchmark/new-classes.csv, a row for each class split, model and number of labelled
images; a run that finds rows there goes on with the others. The six old classes have 600 images each,
and all AUCs are of 500 other images of each class.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from siamese_utils import atomic_io, settings
from siamese_utils.data import datasets
from siamese_utils.training import machine
from siamese_utils.verifier import SiameseVerifier

PATH = settings.BENCHMARK / "new-classes.csv"
SPLITS = 5  # random class splits, none of them the study's
MODELS = ("base", "ensemble")
LABELLED = (0, 5, 20, 50)  # images of each new class
OLD_IMAGES, TEST_IMAGES = 600, 500  # of each class


def main() -> None:
    """Measure what is missing."""
    dataset = datasets.load("fashion-mnist")
    done = pd.read_csv(PATH) if PATH.exists() else pd.DataFrame(columns=["split", "model"])
    rows = done.to_dict("records")
    for split in range(SPLITS):
        rng = np.random.default_rng([split, 7])
        order = {c: rng.permutation(np.flatnonzero(dataset.labels == c)) for c in range(10)}
        new = sorted(rng.choice(10, 4, replace=False).tolist())
        old = [c for c in range(10) if c not in new]
        for model in MODELS:
            if ((done["split"] == split) & (done["model"] == model)).any():
                continue
            rows += measure(dataset, order, old, new, split, model)
            text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
            atomic_io.write_atomically(PATH, text.encode())


def measure(dataset, order, old, new, split, model):
    """Return the rows of one model on one class split."""

    def take(classes, start, stop):
        rows = np.concatenate([order[c][start:stop] for c in classes])
        return dataset.images[rows], dataset.labels[rows]

    verifier = SiameseVerifier(model, seed=split).fit(*take(old, 0, OLD_IMAGES))
    test = OLD_IMAGES, OLD_IMAGES + TEST_IMAGES
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = verifier.save(Path(scratch) / "fitted")
        copies = [SiameseVerifier.load(folder) for _ in LABELLED]
    for number, verifier in zip(LABELLED, copies, strict=True):
        start = time.perf_counter()
        if number:
            verifier.add_classes(*take(new, 0, number))
        row = {
            "split": split,
            "new_classes": " ".join(map(str, new)),
            "model": model,
            "labelled": number,
            "seconds": round(time.perf_counter() - start, 1) if number else 0,
            "AUC_new": verifier.score(*take(new, *test)),
            "AUC_old": verifier.score(*take(old, *test)),
            "AUC_all": verifier.score(*take(range(10), *test)),
            "precision": machine.best_precision(),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
