"""The 2019 study's protocol as far as we know it: nine training runs of twenty epochs.

Each of the three test sets has its own split, which the study makes once. Run it by `python -m
siamese_utils.training.replication`. Each finished training run is a file in
`reports/replication`; a run that finds the file goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from siamese_utils import atomic_io, cli_utils, settings
from siamese_utils.data import datasets
from siamese_utils.data.dataset import Dataset
from siamese_utils.training import worker_pool

FOLDER = settings.REPORTS / "replication"
# Thresholds, in margins, at which the accuracy is stored: 0, 0.01, ... 2.
RELATIVE_THRESHOLDS = np.arange(201) / 100


@dataclass(frozen=True)
class Replicate:
    """One training run of the study.

    Attributes:
        table: Its number in the study: 2, 3 or 5.
        model: `base` or `complex`.
        margin: Margin of the contrastive loss, 1 or 5.
        test_set: `seen`, `all` or `unseen`: the test set that the study trained this network for.
        seed: Of split, pairs and initial weights.
    """

    table: int
    model: str
    margin: float
    test_set: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"table-{self.table}-{self.test_set}"


# Each round completes one column of the study's tables.
REPLICATES = [
    Replicate(table, model, margin, test_set, seed)
    for seed, test_set in enumerate(("seen", "all", "unseen"))
    for table, model, margin in ((2, "base", 1.0), (3, "complex", 1.0), (5, "complex", 5.0))
]


def run(replicate: Replicate, dataset: Dataset, epochs: int) -> dict[str, Any]:
    """Train and measure one network.

    Args:
        replicate: What to train.
        dataset: The images.
        epochs: Epochs of training; 20 in the study.

    Returns:
        The content of the file: the settings, the training accuracy and the accuracy on the run's
        own test set (0..1), the history, for each of the three test sets the accuracy at each of
        RELATIVE_THRESHOLDS and the AUC, the machine, the date and the duration in seconds.
    """
    import keras

    from siamese_utils.training import study_2019 as study
    from siamese_utils.training.machine import describe_machine

    x_train, y_train, *tests = study.data_preparation(dataset, replicate.seed)
    x_only_test2, y_only_test2 = tests[2:4]
    test_sets = {
        "seen": (*tests[0:2], dataset.seen),
        "all": (*tests[4:6], dataset.classes),
        "unseen": (x_only_test2, y_only_test2, dataset.unseen),
    }
    measured: dict[str, Any] = {}

    class Measure(keras.callbacks.Callback):
        """Measure the trained network on all three test sets, and report each epoch."""

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
            print(f"{replicate.name}, epoch {epoch + 1}: {shown}", flush=True)

        def on_train_end(self, logs: dict[str, float] | None = None) -> None:
            for name, (x, y, classes) in test_sets.items():
                pairs, target = study.create_pairs(x, y, classes, replicate.seed)
                distance = self.model.predict(pairs, batch_size=study.BATCH_SIZE, verbose=0)
                measured[name] = measure(distance, target, replicate.margin)

    x_test, y_test, test_classes = test_sets[replicate.test_set]
    create = {"base": study.run_base_network, "complex": study.run_siamese_network}
    started = time.monotonic()
    train_accuracy, test_accuracy, history, score = create[replicate.model](
        x_train,
        y_train,
        x_test,
        y_test,
        epochs,
        dataset.seen,
        test_classes,
        *test_sets["seen"][:2],
        keras.optimizers.RMSprop(),
        loss=study.testing_loss if replicate.margin == 5 else study.contrastive_loss,
        seed=replicate.seed,
        callbacks=[Measure()],
    )
    return {
        "table": replicate.table,
        "model": replicate.model,
        "margin": replicate.margin,
        "test_set": replicate.test_set,
        "seed": replicate.seed,
        "epochs": epochs,
        "dataset": dataset.name,
        "training_images": len(x_train),
        "train_accuracy": train_accuracy,
        "test_accuracy": test_accuracy,
        "test_loss": score[0],
        "history": history,
        "test_sets": measured,
        "seconds": round(time.monotonic() - started),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
    }


def measure(distance: np.ndarray, target: np.ndarray, margin: float) -> dict[str, Any]:
    """Return the accuracy at each threshold and the AUC of a set of pairs.

    Args:
        distance: (pairs,).
        target: (pairs,), 0 for a positive pair, 1 for a negative pair.
        margin: The unit of RELATIVE_THRESHOLDS.
    """
    from sklearn.metrics import roc_auc_score

    different = distance > margin * RELATIVE_THRESHOLDS[:, np.newaxis]  # (thresholds, pairs)
    accuracies = (different == (target > 0.5)).mean(axis=1)
    return {
        "pairs": len(target),
        "auc": float(roc_auc_score(target, distance)),
        "accuracies": [round(float(value), 6) for value in accuracies],
    }


def run_all(
    dataset: Dataset,
    epochs: int,
    folder: Path,
    run: Callable[..., dict[str, Any]] = run,
    workers: int = 1,
) -> int:
    """Train what is missing in a folder, one file for each training run.

    Args:
        dataset: The images.
        epochs: Epochs of each training run.
        folder: Where the files are.
        run: Function that trains one of REPLICATES.
        workers: Number of processes that train at the same time; each has its share of the cores.

    Returns:
        The number of training runs made.

    Raises:
        ValueError: A file in the folder is of another data set or other epochs.
    """
    missing = []
    for replicate in REPLICATES:
        path = folder / f"{replicate.name}.json"
        if not path.exists():
            missing.append((replicate, path))
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        if (record["dataset"], record["epochs"]) != (dataset.name, epochs):
            raise ValueError(
                f"{path}: made from {record['dataset']} in {record['epochs']} epochs, not from "
                f"{dataset.name} in {epochs}; choose another folder with --out"
            )
    tasks = [(run, replicate, dataset, epochs, path) for replicate, path in missing]
    if workers == 1:
        for task in tasks:
            _train_and_write(*task)
    else:
        with worker_pool.process_pool(workers) as pool:
            for future in as_completed([pool.submit(_train_and_write, *task) for task in tasks]):
                future.result()
    return len(missing)


def _train_and_write(
    run: Callable[..., dict[str, Any]],
    replicate: Replicate,
    dataset: Dataset,
    epochs: int,
    path: Path,
) -> None:
    record = run(replicate, dataset, epochs)
    atomic_io.write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
    print(f"{path.name}: test accuracy {100 * record['test_accuracy']:.2f} %", flush=True)


def read(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Return the content of the files that exist, in the order of REPLICATES."""
    paths = [folder / f"{replicate.name}.json" for replicate in REPLICATES]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = cli_utils.OneLineParser(
        prog="python -m siamese_utils.training.replication",
        description="Train the nine networks of the 2019 study by its protocol, as far as it is known; one and a half to five hours.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dataset", default="fashion-mnist", help="fashion-mnist or digits")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each training run")
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        help="processes that train at the same time, each with 2.5 GB of memory; two cores train two "
        "networks in the time of one",
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results")
    options = parser.parse_args(arguments)
    for name in ("epochs", "workers"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more, not {getattr(options, name)}")
    try:
        dataset = datasets.load(options.dataset)
        made = run_all(dataset, options.epochs, options.out, workers=options.workers)
    except (ValueError, OSError) as error:
        return cli_utils.exit_with(parser.prog, 2, str(error))
    except KeyboardInterrupt:
        return cli_utils.exit_with(parser.prog, 130, "interrupted; finished training runs are kept")
    print(f"{made} training runs made, {len(REPLICATES)} in {options.out}")
    return 0


if __name__ == "__main__":
    cli_utils.silence_libraries()
    sys.exit(main())
