"""Classes learned from a few examples: episodes of nearest class means among embeddings."""

import numpy as np

QUERIES = 15  # images of each class to name in an episode


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
