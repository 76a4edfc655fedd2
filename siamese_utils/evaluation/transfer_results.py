"""Results of the article: of its system as printed, and of transfers of the repaired system."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

from siamese_utils.data import pairs
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES, unit_of
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.training import cache, trainer, transfer
from siamese_utils.training.cache import Arrays
from siamese_utils.training.study_plan import StudyPlan
from siamese_utils.training.tasks import STUDY_THRESHOLD
from siamese_utils.training.transfer import TransferConfig

SCRATCH = TransferConfig(start="scratch").initialisation
FROZEN, UNTRAINED, PIXELS = "pretrained on digits, frozen", "untrained encoder", "raw pixels"
PATCH = 5  # pixels, side of a patch


def _mean_grey(images: np.ndarray) -> np.ndarray:
    return images.mean(axis=(1, 2))


def _brightest_patch(images: np.ndarray) -> np.ndarray:
    """Return the mean grey of the brightest patch of each image, (images, 1)."""
    means = ndimage.uniform_filter(images, (0, PATCH, PATCH, 0))
    inside = slice(PATCH // 2, -(PATCH // 2))  # patches that do not reach over the border
    return means[:, inside, inside].max(axis=(1, 2))


def _raw_pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


# Name -> function from images (images, 32, 32, 1) to features (images, dimensions). No learning.
FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean grey": _mean_grey,
    "brightest patch": _brightest_patch,
    PIXELS: _raw_pixels,
}
# Methods that are not trained on pairs.
UNTRAINED_METHODS = (FROZEN, UNTRAINED, *FEATURES)


def metrics_table(plan: StudyPlan) -> pd.DataFrame:
    """Compute the metrics of a plan's transfers and of the methods that are not trained on pairs.

    Transfers that are not in the cache are trained.

    Returns:
        Rows (encoder, pairs), a column per metric. A method that is not trained on pairs has the
        same values for each number of pairs.
    """
    distances: dict[tuple[str, int], list[Arrays]] = {}
    for (task, number), configs in plan.transfers().items():
        for config in configs:
            by_seed = distances.setdefault((f"{config.initialisation}, {task}", number), [])
            by_seed.append(trainer.train(config).distances)
    rows = {encoder: metrics(by_seed) for encoder, by_seed in distances.items()}
    untrained = [untrained_distances(seed) for seed in range(plan.profile.transfer_seeds)]
    for name in UNTRAINED_METHODS:
        values = metrics([by_method[name] for by_method in untrained])
        rows |= {(name, number): values for number in plan.profile.pair_numbers}
    return pd.DataFrame(rows).T.rename_axis(index=["encoder", "pairs"], columns="metric")


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
        Rows (initialisation, task, pairs); columns `minus from scratch` and `minus raw pixels`.
    """
    rows = {}
    for name, number in auc.index:
        start, _, task = name.partition(", ")
        if task in transfer.TRANSFER_TASKS and start != SCRATCH:
            rows[start, task, number] = {
                "minus from scratch": auc[name, number] - auc[f"{SCRATCH}, {task}", number],
                "minus raw pixels": auc[name, number] - auc[PIXELS, number],
            }
    frame = pd.DataFrame(rows).T.rename_axis(["initialisation", "task", "pairs"])
    return frame.rename_axis(columns="comparison")


def untrained_distances(seed: int) -> dict[str, Arrays]:
    """Compute the distances by methods that are not trained on pairs: method -> set -> (pairs,)."""
    distances = {
        FROZEN: _before_training(TransferConfig(start="pretrained", seed=seed)),
        UNTRAINED: _before_training(TransferConfig(start="scratch", seed=seed)),
    }
    for name, features in FEATURES.items():
        distances[name] = {}
        for pair_set in transfer.PAIR_SETS[1:]:
            images, _, sampled = transfer.sample_pairs(TransferConfig(seed=seed), pair_set)
            distances[name][pair_set] = pairs.distances(features(images), sampled)
    return distances


def article_results(seed: int, epochs: int, pretrained: bool = True) -> dict[str, float]:
    """Compute the accuracies of the article's system as printed, and of its network on fresh pairs.

    Args:
        seed: Of everything random.
        epochs: Epochs of both training runs.
        pretrained: Whether the encoder is pretrained, as in the article.

    Returns:
        In %: `digits` (accuracy of the classifier, NaN without), `training pairs`, `test pairs` (200 pairs from
        the pool of the training pairs, as in the article) and `fresh pairs` (of other images, of
        both classes, at the same threshold 0.5), and from 0 to 1 `AUC, fresh pairs`. NaN distances
        count as "different", as they do in the article's accuracy.
    """
    arrays = _article_arrays(seed, epochs, pretrained)
    _, _, sampled = transfer.sample_pairs(TransferConfig(seed=seed), "test")
    fresh = np.where(np.isnan(arrays["fresh"]), np.inf, arrays["fresh"])
    right = (fresh >= STUDY_THRESHOLD) == sampled.different.astype(bool)
    return {
        "digits": 100 * float(arrays["classifier"]),
        "training pairs": 100 * float(arrays["training"]),
        "test pairs": 100 * float(arrays["test"]),
        "fresh pairs": 100 * float(right.mean()),
        "AUC, fresh pairs": RocCurve.from_pairs(fresh, sampled.different).auc,
    }


def article_log(seed: int, epochs: int) -> pd.DataFrame:
    """Return what the article's two calls of `fit` print after each epoch.

    Args:
        seed: As in `article_results`.
        epochs: Likewise.

    Returns:
        A row for each training run and epoch; columns `accuracy`, `loss`, `val_accuracy` and
        `val_loss` (accuracies 0..1).
    """
    from siamese_utils.training.one_shot_article import LOG

    arrays = _article_arrays(seed, epochs, pretrained=True)
    logs = {name: arrays[f"{name} log"] for name in ("pretraining", "training")}
    frames = {
        name: pd.DataFrame(log, range(1, len(log) + 1), list(LOG)) for name, log in logs.items()
    }
    return pd.concat(frames, names=["run", "epoch"])


def _article_arrays(seed: int, epochs: int, pretrained: bool) -> Arrays:
    return cache.cached(
        {"article": seed, "epochs": epochs, "pretrained": pretrained},
        [
            "training.one_shot_article.run",
            "training.transfer.sample_pairs",
            "data.pairs.distances",
        ],
        lambda: _run_article(seed, epochs, pretrained),
    )


def _run_article(seed: int, epochs: int, pretrained: bool) -> Arrays:
    from siamese_utils.training import one_shot_article

    encoder, arrays = one_shot_article.run(seed, epochs, pretrained)
    images, _, sampled = transfer.sample_pairs(TransferConfig(seed=seed), "test")
    embeddings = encoder.predict(images, verbose=0)
    return arrays | {"fresh": pairs.distances(embeddings, sampled)}


def _before_training(config: TransferConfig) -> Arrays:
    """Return the distances by the encoder that a transfer starts from, cached."""
    pretrained = config.start == "pretrained"
    weights = trainer.train(config.pretraining).digest if pretrained else None
    return cache.cached(
        {"before training": config.start, "seed": config.seed, "weights": weights},
        ["training.transfer.build_fresh_encoder", "training.transfer.measure_distances"],
        lambda: transfer.measure_distances(transfer.build_encoder(config), config),
    )
