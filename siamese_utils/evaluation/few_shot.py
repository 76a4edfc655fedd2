"""Classes learned from a few examples: episodes of nearest class means among embeddings."""

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

SHOTS = (1, 5)  # examples of each class
NUM_QUERIES = 15  # images of each class to name in an episode
NUM_EPISODES = 600
MAX_IMAGES = 1000  # of each class, the first ones
MAX_GROUPS = 20  # of images, or as many as have enough of each class for an episode


def accuracies(
    runs: Mapping[str, Sequence[TrainingResult]],
    recipes: Sequence[SmallEncoderConfig],
    dataset: Dataset,
) -> pd.DataFrame:
    """Return how many images of unseen classes encoders name rightly from few examples, in %.

    runs: encoder -> its trainings, one a seed; recipes: those of the recipe for unseen classes;
    what has learned less stands beside them. Rows encoders, columns 1-shot, 5-shot. All meet the
    same episodes.
    """
    chosen = [np.flatnonzero(dataset.labels == c)[:MAX_IMAGES] for c in dataset.unseen]
    rows = np.concatenate(chosen)
    labels = dataset.labels[rows]
    number = min(MAX_GROUPS, min(map(len, chosen)) // (max(SHOTS) + NUM_QUERIES))
    groups = assign_groups(labels, number)
    found: dict[str, dict[str, Measurement]] = {}
    for name, of_seeds in _embed(runs, recipes, dataset, rows).items():
        for shots in SHOTS:
            shares = np.array([
                group_accuracies(e, labels, groups, shots, NUM_EPISODES, np.random.default_rng(0))
                for e in of_seeds
            ])  # fmt: skip
            accuracy = Measurement(100 * shares.mean(axis=1), 100 * shares, "%")
            found.setdefault(name, {})[f"{shots}-shot"] = accuracy
    return pd.DataFrame(found).T.rename_axis(index="encoder", columns="shots")


def episode_accuracies(
    embeddings: np.ndarray, labels: np.ndarray, shots: int, episodes: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the share of rightly named images in each episode, (episodes,) of 0..1.

    embeddings: (images, dimensions); labels: (images,). An episode draws `shots` examples and 15
    other images of every class, and names each of these by the nearest mean of examples. With the
    same generator state, other embeddings of the same images meet the same episodes. Source:
    Vinyals et al. 2016 (episodes), Snell, Swersky, Zemel 2017 (means). Raises ValueError where a
    class has too few images.
    """
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    needed = shots + NUM_QUERIES
    if min(map(len, members)) < needed:
        raise ValueError(f"an episode needs {needed} images of each class")
    accuracy = np.empty(episodes)
    truth = np.repeat(np.arange(len(members)), NUM_QUERIES)
    for episode in range(episodes):
        drawn = np.stack([rng.choice(rows, needed, replace=False) for rows in members])
        means = embeddings[drawn[:, :shots]].mean(axis=1)  # (classes, dimensions)
        asked = embeddings[drawn[:, shots:].ravel()]  # (classes x 15, dimensions)
        distance = np.linalg.norm(asked[:, np.newaxis] - means, axis=2)
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
    """Return the mean accuracy of episodes inside each group of images, (groups,) of 0..1.

    groups: (images,) of 0, 1, ...; episodes: of all groups together, each having as many. The
    groups share no image, so their spread is that of accuracies on other images of the same kind.
    """
    number = groups.max() + 1
    accuracy = np.empty(number)
    for group in range(number):
        inside = groups == group
        found = episode_accuracies(
            embeddings[inside], labels[inside], shots, episodes // number, rng
        )
        accuracy[group] = found.mean()
    return accuracy


def _embed(
    runs: Mapping[str, Sequence[TrainingResult]],
    recipes: Sequence[SmallEncoderConfig],
    dataset: Dataset,
    rows: np.ndarray,
) -> dict[str, list[np.ndarray]]:
    """Return the embeddings of the images at `rows`, one array a seed, by runs and by less."""
    seeds = range(len(next(iter(runs.values()))))
    found = {name: [of_trained(run, dataset, rows) for run in of] for name, of in runs.items()}
    for name, way in {
        "recipe for unseen classes": unseen_classes.ENSEMBLE,
        "the same, no network": unseen_classes.ENSEMBLE_WITHOUT_NETWORKS,
    }.items():
        found[name] = [unseen_classes.embeddings(step, way, rows) for step in recipes]
    found["untrained base model"] = [of_untrained("base", s, dataset, rows) for s in seeds]
    if dataset.name != "digits":  # of which it would have learned the unseen classes
        found["pretrained on digits"] = [of_digit_encoder(s, dataset, rows) for s in seeds]
    return found | {"raw pixels": [pixels(dataset.images[rows])] * len(seeds)}
