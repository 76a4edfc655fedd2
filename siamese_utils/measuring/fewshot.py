"""Classes learned from a few examples: episodes of nearest class means among embeddings."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from siamese_utils.images.dataset import Dataset
from siamese_utils.learning.manyclasses import ManyClasses
from siamese_utils.learning.store import Run
from siamese_utils.measuring import unseen
from siamese_utils.measuring.baselines import pixels
from siamese_utils.measuring.counts import deal_into_groups
from siamese_utils.measuring.embeddings import of_digits_encoder, of_run, of_untrained
from siamese_utils.measuring.intervals import Measured

SHOTS = (1, 5)  # examples of each class
QUERIES = 15  # images of each class to name in an episode
EPISODES = 600
IMAGES = 1000  # of each class, the first ones
GROUPS = 20  # of images, or as many as have enough of each class for an episode


def accuracies(
    runs: Mapping[str, Sequence[Run]], recipes: Sequence[ManyClasses], dataset: Dataset
) -> pd.DataFrame:
    """Return how many images of unseen classes encoders name rightly from few examples, in %.

    runs: encoder -> its trainings, one a seed; recipes: those of the recipe for unseen classes;
    what has learned less stands beside them. Rows encoders, columns 1-shot, 5-shot. All meet the
    same episodes.
    """
    chosen = [np.flatnonzero(dataset.labels == c)[:IMAGES] for c in dataset.unseen]
    rows = np.concatenate(chosen)
    labels = dataset.labels[rows]
    number = min(GROUPS, min(map(len, chosen)) // (max(SHOTS) + QUERIES))
    groups = deal_into_groups(labels, number)
    found: dict[str, dict[str, Measured]] = {}
    for name, of_seeds in _embed(runs, recipes, dataset, rows).items():
        for shots in SHOTS:
            shares = np.array([
                accuracies_of_groups(e, labels, groups, shots, EPISODES, np.random.default_rng(0))
                for e in of_seeds
            ])  # fmt: skip
            accuracy = Measured(100 * shares.mean(axis=1), 100 * shares, "%")
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
    needed = shots + QUERIES
    if min(map(len, members)) < needed:
        raise ValueError(f"an episode needs {needed} images of each class")
    accuracy = np.empty(episodes)
    truth = np.repeat(np.arange(len(members)), QUERIES)
    for episode in range(episodes):
        drawn = np.stack([rng.choice(rows, needed, replace=False) for rows in members])
        means = embeddings[drawn[:, :shots]].mean(axis=1)  # (classes, dimensions)
        asked = embeddings[drawn[:, shots:].ravel()]  # (classes x 15, dimensions)
        distance = np.linalg.norm(asked[:, np.newaxis] - means, axis=2)
        accuracy[episode] = np.mean(distance.argmin(axis=1) == truth)
    return accuracy


def accuracies_of_groups(
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
    runs: Mapping[str, Sequence[Run]],
    recipes: Sequence[ManyClasses],
    dataset: Dataset,
    rows: np.ndarray,
) -> dict[str, list[np.ndarray]]:
    """Return the embeddings of the images at `rows`, one array a seed, by runs and by less."""
    seeds = range(len(next(iter(runs.values()))))
    found = {name: [of_run(run, dataset, rows) for run in of] for name, of in runs.items()}
    for name, way in {
        "recipe for unseen classes": unseen.RECIPE,
        "the same, no network": unseen.NO_NETWORK,
    }.items():
        found[name] = [unseen.embeddings(step, way, rows) for step in recipes]
    found["untrained base model"] = [of_untrained("base", s, dataset, rows) for s in seeds]
    if dataset.name != "digits":  # of which it would have learned the unseen classes
        found["pretrained on digits"] = [of_digits_encoder(s, dataset, rows) for s in seeds]
    return found | {"raw pixels": [pixels(dataset.images[rows])] * len(seeds)}
