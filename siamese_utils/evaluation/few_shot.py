"""Few-shot classification: episodes with a nearest-class-mean classifier on embeddings."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import unseen_classes
from siamese_utils.evaluation.baselines import pixels
from siamese_utils.evaluation.embeddings import of_digit_encoder, of_trained, of_untrained
from siamese_utils.evaluation.intervals import Measurement
from siamese_utils.evaluation.pair_histogram import assign_groups
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.small_encoder import SmallEncoderConfig

SHOTS = (1, 5)  # labelled examples of each class
NUM_QUERIES = 15  # images of each class to classify in an episode
NUM_EPISODES = 600
MAX_IMAGES = 1000  # of each class: the first ones of the data set
MAX_GROUPS = 20  # groups of images; fewer if a group would be too small for an episode


def accuracies(
    results: Mapping[str, Sequence[TrainingResult]],
    ensemble_configs: Sequence[SmallEncoderConfig],
    dataset: Dataset,
) -> pd.DataFrame:
    """Measure the few-shot accuracy of encoders on the unseen classes, in %.

    All encoders are evaluated on the same episodes.

    Args:
        results: Encoder -> its training runs, one per seed.
        ensemble_configs: Configs of the ensemble, one per seed.
        dataset: The images.

    Returns:
        A row per encoder, baselines included; columns 1-shot and 5-shot.
    """
    members = [np.flatnonzero(dataset.labels == c)[:MAX_IMAGES] for c in dataset.unseen]
    rows = np.concatenate(members)
    labels = dataset.labels[rows]
    num_groups = min(MAX_GROUPS, min(map(len, members)) // (max(SHOTS) + NUM_QUERIES))
    groups = assign_groups(labels, num_groups)
    table: dict[str, dict[str, Measurement]] = {}
    for name, embeddings in _embed(results, ensemble_configs, dataset, rows).items():
        table[name] = {}
        for shots in SHOTS:
            by_group = np.array([
                group_accuracies(e, labels, groups, shots, NUM_EPISODES, np.random.default_rng(0))
                for e in embeddings
            ])  # fmt: skip
            accuracy = Measurement(100 * by_group.mean(axis=1), 100 * by_group, "%")
            table[name][f"{shots}-shot"] = accuracy
    return pd.DataFrame(table).T.rename_axis(index="encoder", columns="shots")


def episode_accuracies(
    embeddings: np.ndarray, labels: np.ndarray, shots: int, episodes: int, rng: np.random.Generator
) -> np.ndarray:
    """Compute the accuracy of each episode.

    An episode samples labelled examples and 15 query images of every class, and classifies each
    query by the nearest class mean of the examples. The sampled images depend only on the labels and
    the generator. Sources: Vinyals et al. 2016 (episodes), Snell et al. 2017 (class means).

    Args:
        embeddings: (images, dimensions).
        labels: (images,).
        shots: Labelled examples of each class.
        episodes: Number of episodes.
        rng: Random number generator.

    Returns:
        (episodes,) accuracies, 0..1.

    Raises:
        ValueError: A class has too few images.
    """
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    needed, smallest = shots + NUM_QUERIES, min(map(len, members))
    if smallest < needed:
        raise ValueError(
            f"an episode needs {needed} images of each class, but a class has {smallest}; "
            "add images or lower the number of shots"
        )
    accuracy = np.empty(episodes)
    truth = np.repeat(np.arange(len(members)), NUM_QUERIES)
    for episode in range(episodes):
        sampled = np.stack([rng.choice(rows, needed, replace=False) for rows in members])
        means = embeddings[sampled[:, :shots]].mean(axis=1)  # (classes, dimensions)
        queries = embeddings[sampled[:, shots:].ravel()]  # (classes x 15, dimensions)
        distance = np.linalg.norm(queries[:, np.newaxis] - means, axis=2)
        accuracy[episode] = np.mean(distance.argmin(axis=1) == truth)
    return accuracy


def group_accuracies(
    embeddings: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    shots: int,
    episodes: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Compute the mean accuracy of the episodes inside each group of images.

    The groups share no image, so that the variance between them is that of accuracies on other
    images of the same classes.

    Args:
        embeddings: (images, dimensions).
        labels: (images,).
        groups: (images,) group numbers 0, 1, ...
        shots: Labelled examples of each class.
        episodes: Number of episodes of all groups together; each group has the same share.
        rng: Random number generator.

    Returns:
        (groups,) accuracies, 0..1.
    """
    num_groups = groups.max() + 1
    accuracy = np.empty(num_groups)
    for group in range(num_groups):
        members = groups == group
        accuracy[group] = episode_accuracies(
            embeddings[members], labels[members], shots, episodes // num_groups, rng
        ).mean()
    return accuracy


def _embed(
    results: Mapping[str, Sequence[TrainingResult]],
    ensemble_configs: Sequence[SmallEncoderConfig],
    dataset: Dataset,
    rows: np.ndarray,
) -> dict[str, list[np.ndarray]]:
    """Return encoder -> embeddings of the images at `rows`, one array per seed."""
    seeds = range(len(next(iter(results.values()))))
    embeddings = {
        name: [of_trained(result, dataset, rows) for result in runs]
        for name, runs in results.items()
    }
    for name, method in {
        "ensemble": unseen_classes.ENSEMBLE,
        "the same, no network": unseen_classes.ENSEMBLE_WITHOUT_NETWORKS,
    }.items():
        embeddings[name] = [
            unseen_classes.embeddings(config, method, rows) for config in ensemble_configs
        ]
    embeddings["untrained base model"] = [of_untrained("base", s, dataset, rows) for s in seeds]
    # An encoder pretrained on digits has been trained on the unseen classes of digits.
    if dataset.name != "digits":
        embeddings["pretrained on digits"] = [of_digit_encoder(s, dataset, rows) for s in seeds]
    return embeddings | {"raw pixels": [pixels(dataset.images[rows])] * len(seeds)}
