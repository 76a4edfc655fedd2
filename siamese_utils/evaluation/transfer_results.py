"""Results of the second study: metrics of its encoders, and of untrained methods, on pairs of textures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from siamese_utils.data import pairs
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES, unit_of
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.training import cache, trainer, transfer
from siamese_utils.training.cache import Arrays
from siamese_utils.training.study_plan import StudyPlan
from siamese_utils.training.tasks import STUDY_THRESHOLD
from siamese_utils.training.transfer import TransferConfig

FROZEN, UNTRAINED, PIXELS = "pretrained, frozen", "untrained encoder", "raw pixels"
LINEAR = "linear classifier"
UNTRAINED_METHODS = (FROZEN, UNTRAINED, PIXELS)  # methods that are not trained on pairs


def metrics_table(plan: StudyPlan) -> pd.DataFrame:
    """Compute the metrics of a plan's transfers and of the methods that are not trained on pairs.

    Transfers that are not in the cache are trained.

    Returns:
        Rows (encoder, pairs), a column per metric. A method that is not trained on pairs has the
        same values for each number of pairs.
    """
    distances: dict[tuple[str, int], list[Arrays]] = {}
    for (kind, number), configs in plan.transfers().items():
        for config in configs:
            by_seed = distances.setdefault((f"{config.start}, {kind}", number), [])
            by_seed.append(trainer.train(config).distances)
    rows = {encoder: metrics(by_seed) for encoder, by_seed in distances.items()}
    untrained = [untrained_distances(seed) for seed in range(plan.profile.transfer_seeds)]
    for name in UNTRAINED_METHODS:
        values = metrics([by_method[name] for by_method in untrained])
        rows |= {(name, number): values for number in plan.profile.pair_numbers}
    return pd.DataFrame(rows).T.rename_axis(index=["encoder", "pairs"], columns="figure")


def metrics(distances: Sequence[Arrays]) -> pd.Series:
    """Compute the metrics of an encoder on the test pairs.

    The tuned threshold is the best one on the validation pairs.

    Args:
        distances: Set -> (pairs,) distances of the validation and the test pairs, for each of the
            seeds 0, 1, ...

    Returns:
        Metric -> Measurement over the seeds.
    """
    rows = []
    for seed, by_set in enumerate(distances):
        config = TransferConfig(seed=seed)
        curves = {
            name: RocCurve.from_pairs(
                by_set[name], transfer.sample_pairs(config, name)[2].different
            )
            for name in transfer.PAIR_SETS[1:]
        }
        validation, test = curves["validation"], curves["test"]
        row = {
            THRESHOLD_RULES["0.5"]: 100 * test.accuracy(STUDY_THRESHOLD),
            THRESHOLD_RULES["tuned"]: 100 * test.accuracy(validation.best_threshold),
            "AUC": test.auc,
        }
        rows.append(row)
    return pd.Series({m: measurement([row[m] for row in rows], unit_of(m)) for m in rows[0]})


def auc_differences(auc: pd.Series) -> pd.DataFrame:
    """Compute the AUC of the pretrained encoders after transfer minus the AUC of others, by seed.

    Args:
        auc: (encoder, pairs) -> Measurement: the column AUC of `metrics_table`.

    Returns:
        Rows (training, pairs); columns minus scratch, minus raw pixels, minus untrained encoder.
    """
    rows = {}
    for name, number in auc.index:
        start, _, kind = name.partition(", ")
        if start == "scratch":
            pretrained = auc[f"pretrained, {kind}", number]
            rows[kind, number] = {"minus scratch": pretrained - auc[name, number]} | {
                f"minus {other}": pretrained - auc[other, number] for other in (PIXELS, UNTRAINED)
            }
    return pd.DataFrame(rows).T.rename_axis(["training", "pairs"])


def epochs_run(plan: StudyPlan) -> pd.DataFrame:
    """Compute how many epochs the transfers on the study's number of pairs ran.

    Returns:
        Rows (training, start). Columns: the maximum number of epochs, the mean number over the
        seeds, and the number of runs that reached the maximum.
    """
    rows = {}
    for (kind, number), configs in plan.transfers().items():
        for start in transfer.INITIALISATIONS if number == transfer.STUDY_PAIRS else ():
            results = [trainer.train(config) for config in configs if config.start == start]
            lengths = [len(result.history["loss"]) for result in results]
            limit = configs[0].epochs
            rows[kind, start] = {
                "epochs at most": limit,
                "epochs run, mean": np.mean(lengths),
                "cut off": lengths.count(limit),
            }
    return pd.DataFrame(rows).T.rename_axis(["training", "start"])


def by_contrast(plan: StudyPlan) -> pd.DataFrame:
    """Compute how the contrast of the rectangles affects the transfers.

    Returns:
        A row per contrast. Columns: the accuracy in % of a linear classifier that is trained on the
        labels of the same number of images, the AUC on test pairs for each start, and the AUC of
        each pretrained start minus that from scratch.
    """
    rows: dict[float, dict[str, Measurement]] = {}
    for (contrast, start), configs in plan.transfers_by_contrast().items():
        row = rows.setdefault(contrast, {})
        row[LINEAR] = measurement([100 * _linear_accuracy(config) for config in configs], "%")
        # `metrics` samples pairs at full contrast: their labels do not depend on the contrast.
        row[f"AUC, {start}"] = metrics([trainer.train(c).distances for c in configs])["AUC"]
    table = pd.DataFrame(rows).T.rename_axis("contrast")
    for start in table.columns.drop([LINEAR, "AUC, scratch"]):
        table[f"{start.removeprefix('AUC, ')} minus scratch"] = table[start] - table["AUC, scratch"]
    return table


def _linear_accuracy(config: TransferConfig) -> float:
    """Return the accuracy, 0..1, of a linear classifier of the pixels of test images."""
    from sklearn.linear_model import LogisticRegression

    sets = (transfer.sample_pairs(config, name)[:2] for name in ("train", "test"))
    train, test = ((images.reshape(len(images), -1), labels) for images, labels in sets)
    return float(LogisticRegression(max_iter=1000).fit(*train).score(*test))


def untrained_distances(seed: int) -> dict[str, Arrays]:
    """Compute the distances by methods that are not trained on pairs: method -> set -> (pairs,)."""
    return {
        FROZEN: _before_training(TransferConfig(start="pretrained", seed=seed)),
        UNTRAINED: _before_training(TransferConfig(start="scratch", seed=seed)),
        PIXELS: _of_pixels(TransferConfig(seed=seed)),
    }


def _before_training(config: TransferConfig) -> Arrays:
    """Return the distances by the encoder that a transfer starts from, cached."""
    pretrained = config.start == "pretrained"
    weights = trainer.train(config.pretraining).digest if pretrained else None
    return cache.cached(
        {"before training": config.start, "seed": config.seed, "weights": weights},
        ["training.transfer.build_fresh_encoder", "training.transfer.measure_distances"],
        lambda: transfer.measure_distances(transfer.build_encoder(config), config),
    )


def _of_pixels(config: TransferConfig) -> Arrays:
    distances = {}
    for name in transfer.PAIR_SETS[1:]:
        images, _, sampled = transfer.sample_pairs(config, name)
        distances[name] = pairs.distances(images.reshape(len(images), -1), sampled)
    return distances
