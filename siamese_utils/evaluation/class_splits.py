"""The study's networks on many class splits, and the number of epochs to train them for.

All networks are evaluated on the same test images as the methods of `new_classes`, by the AUC over
all pairs of images of new classes, and of old ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import slice_classes
from siamese_utils.evaluation import baselines, new_classes, pair_histogram, unseen_classes
from siamese_utils.evaluation.baselines import Embed
from siamese_utils.evaluation.new_classes import AUC_NEW, AUC_OLD, MAX_TEST_IMAGES
from siamese_utils.training import cache, new_class_networks, pair_training, trainer
from siamese_utils.training.encoders import code_of
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig

DISTANCES = ("Euclidean", "cosine")
UNTRAINED = "untrained base model"
NOT_TRAINED = "not trained"  # a duration of training
# Methods of `new_classes.METHODS` that the networks are compared with.
BASELINES = (new_classes.PIXELS, new_classes.MASK, new_classes.FIXED_FEATURES)


def outcomes(splits: Iterable[SmallEncoderConfig], epochs: int) -> pd.DataFrame:
    """Evaluate the study's networks and baselines on class splits.

    Args:
        splits: Configs without labelled images, whose class splits are used.
        epochs: Epochs of the networks.

    Returns:
        A row for each split and method. Columns: `split` (the names of the new classes), `method`,
        and the AUC on new and on old classes.
    """
    rows = []
    for split in splits:
        found = {
            name: new_classes.evaluate(split, new_classes.METHODS[name], name) for name in BASELINES
        }
        base = new_class_networks.study_network(split, epochs)
        for distance, values in _evaluate(base, split, trained=False).items():
            found[f"{UNTRAINED}, {distance}"] = values
        for name, fields in new_class_networks.STUDY_NETWORKS.items():
            config = new_class_networks.study_network(split, epochs, **fields)
            for distance, values in _evaluate(config, split).items():
                found[f"{name}, {distance}"] = values
        for method, values in found.items():
            aucs = {metric: values[metric] for metric in (AUC_NEW, AUC_OLD)}
            rows.append({"split": _name(split), "method": method} | aucs)
    return pd.DataFrame(rows)


def untrained_aucs(split: SmallEncoderConfig, number: int) -> pd.DataFrame:
    """Evaluate untrained base models with different initial weights on one class split.

    Args:
        split: A config without labelled images, whose class split is used.
        number: How many initial weights, with the seeds 0, 1, ...

    Returns:
        A row for each seed and distance. Columns: `seed`, `distance`, and the AUC on new and on old
        classes.
    """
    rows = []
    for seed in range(number):
        config = replace(new_class_networks.study_network(split, 1), seed=seed)
        for distance, values in _evaluate(config, split, trained=False).items():
            rows.append({"seed": seed, "distance": distance} | values)
    return pd.DataFrame(rows)


def by_duration(
    splits: Iterable[SmallEncoderConfig], steps: Sequence[int], epochs: Sequence[int]
) -> pd.DataFrame:
    """Evaluate the base model before training, after a few steps, and after numbers of epochs.

    Args:
        splits: Configs without labelled images, whose class splits are used.
        steps: Numbers of gradient steps, fewer than an epoch has.
        epochs: Numbers of epochs.

    Returns:
        A row for each split, duration (in this order, NOT_TRAINED first) and distance. Columns:
        `split`, `after` (the duration, such as "10 steps"), `steps`, `distance`, and the AUC on new
        and on old classes.
    """
    rows = []
    for split in splits:
        untrained = new_class_networks.study_network(split, 1)
        durations = {NOT_TRAINED: untrained}
        for number in steps:
            durations[f"{number} steps"] = replace(untrained, steps_per_epoch=number)
        for number in epochs:
            durations[name_epochs(number)] = new_class_networks.study_network(split, number)
        for after, config in durations.items():
            trained = after != NOT_TRAINED
            number = pair_training.count_steps(config) if trained else 0
            for distance, values in _evaluate(config, split, trained).items():
                row = {"split": _name(split), "after": after, "steps": number, "distance": distance}
                rows.append(row | values)
    return pd.DataFrame(rows)


def name_epochs(number: int) -> str:
    """Return the name of a duration of training: `NOT_TRAINED`, "1 epoch", "2 epochs", ..."""
    return f"{number} epoch{'s' * (number > 1)}" if number else NOT_TRAINED


def left_out_auc(splits: Iterable[SmallEncoderConfig], epochs: Sequence[int]) -> pd.DataFrame:
    """Compute the AUC on seen classes that a network was not trained on.

    No test image and no new class takes part: half of the seen classes are left out of training, and
    their training images are compared by Euclidean distance. Then the other half is left out.

    Args:
        splits: Configs without labelled images, whose class splits are used.
        epochs: Numbers of epochs.

    Returns:
        A row for each split, half and number of epochs (0 first). Columns: `split`, `half`, `epochs`
        and `AUC`.
    """
    rows = []
    for split in splits:
        dataset = split.load_data()
        train = dataset.split(split.seed).train
        for half, start in enumerate(new_class_networks.leave_seen_classes_out(split)):
            left_out = tuple(c for c in dataset.seen if c not in start.seen)
            images = train[np.isin(dataset.labels[train], left_out)]
            images = slice_classes(images, dataset.labels, 0, MAX_TEST_IMAGES)
            for number in (0, *epochs):
                config = new_class_networks.study_network(start, number or min(epochs))
                aucs = _measure_cached(config, number > 0, images, {"AUC": left_out})
                row = {"split": _name(split), "half": half, "epochs": number}
                rows.append(row | aucs["Euclidean"])
    return pd.DataFrame(rows)


def choose_epochs(left_out: pd.DataFrame) -> pd.Series:
    """Return the number of epochs with the highest mean AUC on left-out seen classes, by split.

    Args:
        left_out: As `left_out_auc` returns it.
    """
    means = left_out.groupby(["split", "epochs"], sort=False)["AUC"].mean().unstack("epochs")
    return means.idxmax(axis=1).rename("epochs")


def _name(split: SmallEncoderConfig) -> str:
    dataset = split.load_data()
    return ", ".join(dataset.names_of(dataset.unseen))


def _evaluate(
    config: TrainingConfig, split: SmallEncoderConfig, trained: bool = True
) -> dict[str, dict[str, float]]:
    """Return the AUC of a network on new and old classes: distance -> metric -> value."""
    dataset = split.load_data()
    classes = {AUC_NEW: dataset.unseen, AUC_OLD: dataset.seen}
    return _measure_cached(config, trained, new_classes.test_rows(split), classes)


def _measure_cached(
    config: TrainingConfig,
    trained: bool,
    rows: np.ndarray,
    classes: dict[str, tuple[int, ...]],
) -> dict[str, dict[str, float]]:
    """Return the AUC over all pairs of images, from the cache if it is there.

    Args:
        config: The config of the network.
        trained: Whether it is trained, or has its initial weights.
        rows: The images.
        classes: Metric -> the classes whose images are compared.

    Returns:
        Distance -> metric -> value.
    """
    code = ["evaluation.class_splits._measure", "training.trainer.embed"]
    if trained:
        network = trainer.train(config).digest
    else:
        network = f"untrained {config.model} {config.seed}"
        code += [*code_of(config.model), "training.trainer.seed_everything"]
    parts = {
        "network": network,
        "data": config.load_data().digest,
        "rows": rows.tolist(),
        "classes": [list(group) for group in classes.values()],
    }
    arrays = cache.cached(
        parts, code, lambda: {"AUC": np.array(_measure(config, trained, rows, classes.values()))}
    )
    return {
        distance: dict(zip(classes, values, strict=True))
        for distance, values in zip(DISTANCES, arrays["AUC"].tolist(), strict=True)
    }


def _measure(
    config: TrainingConfig, trained: bool, rows: np.ndarray, classes: Iterable[tuple[int, ...]]
) -> list[list[float]]:
    dataset = config.load_data()
    images, labels = dataset.images[rows], dataset.labels[rows]
    embed = unseen_classes.network(config) if trained else _untrained(config)
    embeddings = embed(images)
    by_distance = (embeddings, baselines.scale_to_unit_length(embeddings))  # as in DISTANCES
    return [[_auc_of_classes(e, labels, group) for group in classes] for e in by_distance]


def _auc_of_classes(embeddings: np.ndarray, labels: np.ndarray, classes: tuple[int, ...]) -> float:
    """Return the AUC over all pairs of images of these classes."""
    rows = np.isin(labels, classes)
    pairs = pair_histogram.count_pairs(embeddings[rows], labels[rows])
    return pairs.curve_of_classes(classes).auc


def _untrained(config: TrainingConfig) -> Embed:
    """Return the embedding function of a network with its initial weights."""
    shape = config.load_data().images.shape[1:]
    encoder = pair_training.build_untrained_encoder(config.model, config.seed, shape)
    return lambda images: trainer.embed(encoder, images)
