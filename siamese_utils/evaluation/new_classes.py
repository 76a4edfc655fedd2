"""What helps on new classes: methods, with and without labelled images, and their evaluation.

A class split divides the classes into old ones (its seen classes), which methods are trained on, and
new ones (its unseen classes), of which a method may use a few images. All methods are evaluated on
the same other images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from sklearn.neighbors import KNeighborsClassifier

from siamese_utils.data import datasets
from siamese_utils.data.dataset import slice_classes
from siamese_utils.evaluation import baselines, ensemble, pair_histogram, unseen_classes
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.training import cache, small_encoder, trainer
from siamese_utils.training import new_class_networks as networks
from siamese_utils.training.config import Config
from siamese_utils.training.small_encoder import SmallEncoderConfig

NUMBERS = (0, 1, 2, 5, 10, 20, 50, 100)  # labelled images of each new class
SHOWN_NUMBERS = (0, 5, 20, 50)  # in tables
MAX_TEST_IMAGES = 500  # test images of each class
AUC_NEW, AUC_OLD = "AUC, new classes", "AUC, old classes"
AUC_MIXED = "AUC, new against old classes"  # positive pairs of new classes, negative pairs of both
OLD_THRESHOLD, NEW_THRESHOLD = "accuracy, old threshold", "accuracy, new threshold"
NEAREST = "1-NN accuracy"
# all but the AUCs in %
METRICS = (AUC_NEW, AUC_OLD, AUC_MIXED, OLD_THRESHOLD, NEW_THRESHOLD, NEAREST)
# name -> function of images (images, height, width, channels) that returns (images, dimensions)
FEATURES = {
    "pixels": baselines.pixels,
    "mask": baselines.foreground_mask,
    "HOG": ensemble.hog_features,
}
# (features of all images (images, dimensions), rows to fit to, their labels) -> embeddings of all images
Transform = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
# config with a number of labelled images -> the configs of the networks to train
Trainings = Callable[[SmallEncoderConfig], Sequence[Config]]


def unchanged(features: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the features."""
    return features


def subtract_mean(features: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Subtract the mean of the class means."""
    return features - ensemble.class_means(features[rows], labels).mean(axis=0)


def whiten(features: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whiten features as in `ensemble.fit_whitening`."""
    return ensemble.fit_whitening(features[rows], labels)(features)


@dataclass(frozen=True)
class Method:
    """A method to embed images: transformed features and networks, each scaled to length 1.

    Attributes:
        features: Names in FEATURES.
        trainings: Returns the configs of the networks.
        transform: Transforms each part; it is fitted to training images.
        fitted_on: Which images these are: `old`, `labelled` (of new classes) or `old and labelled`.
        numbers: The numbers of labelled images of each new class that the method is evaluated with.
        unlabelled: Whether the transform is also fitted to the images of each new class that could be
            labelled, without their labels.
        unit_length: Whether embeddings are scaled to length 1.
    """

    features: Sequence[str] = ()
    trainings: Trainings = lambda _: ()
    transform: Transform = whiten
    fitted_on: str = "old and labelled"
    numbers: Sequence[int] = NUMBERS
    unlabelled: bool = False
    unit_length: bool = True


PIXELS, MASK = "raw pixels", "foreground mask"
FIXED_FEATURES = "HOG and mask, whitened"
UNCHANGED, REFITTED, RETRAINED = (
    "ensemble, unchanged",
    "ensemble, whitening refitted",
    "ensemble, retrained",
)
NETWORK, BASE_MODEL = "small network, retrained", "base model, retrained"
LAST_LAYER = "small network, last layer retrained"
LABELLED_ALONE = "HOG and mask, whitened on new images alone"
UNLABELLED = "ensemble, unlabelled images"
_PARTS = ("mask", "HOG")
METHODS: dict[str, Method] = {
    PIXELS: Method(("pixels",), transform=unchanged),
    MASK: Method(("mask",), transform=subtract_mean, numbers=(0,)),
    FIXED_FEATURES: Method(_PARTS),
    UNCHANGED: Method(_PARTS, networks.without_labels, fitted_on="old"),
    UNLABELLED: Method(
        _PARTS, networks.without_labels, fitted_on="old", numbers=(0,), unlabelled=True
    ),
    REFITTED: Method(_PARTS, networks.without_labels),
    RETRAINED: Method(_PARTS, networks.retrained, numbers=(0, *networks.NUMBERS)),
    NETWORK: Method(
        trainings=lambda config: networks.retrained(config)[:1], numbers=(0, *networks.NUMBERS)
    ),
    LAST_LAYER: Method(trainings=networks.last_layer, numbers=networks.NUMBERS),
    LABELLED_ALONE: Method(_PARTS, fitted_on="labelled", numbers=NUMBERS[2:]),
    BASE_MODEL: Method(
        trainings=networks.base_model,
        transform=unchanged,
        numbers=networks.BASE_NUMBERS,
        unit_length=False,
    ),
}


def outcomes(splits: Iterable[SmallEncoderConfig], methods: Sequence[str]) -> pd.DataFrame:
    """Evaluate methods on class splits, with each of their numbers of labelled images.

    Args:
        splits: Configs without labelled images, whose class splits are used.
        methods: Names in METHODS.

    Returns:
        A row for each split, method and number. Columns: `split`, the names of the new classes,
        `method`, `labelled`, and METRICS, which are NaN if there is no value.
    """
    rows = []
    for split in splits:
        dataset = split.load_data()
        names = ", ".join(dataset.names_of(dataset.unseen))
        for name in methods:
            for number in networks.available(split, METHODS[name].numbers):
                config = replace(split, labelled=number)
                row = {"split": names, "method": name, "labelled": number}
                rows.append(row | evaluate(config, METHODS[name], name))
    return pd.DataFrame(rows)


def evaluate(config: SmallEncoderConfig, method: Method, name: str) -> dict[str, float]:
    """Evaluate a method on a class split, with the config's number of labelled images.

    Args:
        config: The class split and the number of labelled images.
        method: The method.
        name: Its name, for the cache key.

    Returns:
        The values of METRICS. AUC_MIXED is over positive pairs of new classes, and negative pairs of
        a new and an old class. The old threshold is the most accurate one on the validation images,
        which are of old classes. The new one is that on the labelled images, two or more of each
        class. The 1-NN accuracy is that of the nearest labelled image, among the new classes.
    """
    parts = {
        "new classes": name,
        "networks": [trainer.train(one).digest for one in method.trainings(config)],
        "labelled": config.labelled,
        "data": config.load_data().digest,
        "seed": config.seed,
        "HOG": unseen_classes.HOG_VERSION,
    }
    code = ["evaluation.new_classes.METHODS", "evaluation.new_classes._evaluate"]
    code.append("training.trainer.embed")
    arrays = cache.cached(parts, code, lambda: {"values": np.array(_evaluate(config, method))})
    return dict(zip(METRICS, arrays["values"].tolist(), strict=True))


def _evaluate(config: SmallEncoderConfig, method: Method) -> list[float]:
    """Return the values of METRICS."""
    dataset = config.load_data()
    split = dataset.split(config.seed).with_labelled(dataset, config.labelled)
    rows = {
        "test": test_rows(config),
        "validation": split.validation,
        "labelled": split.train[np.isin(dataset.labels[split.train], dataset.unseen)],
    }
    embeddings = embed_all(config, method)
    embeddings = {name: embeddings[r] for name, r in rows.items()}
    labels = {name: dataset.labels[r] for name, r in rows.items()}
    pairs = pair_histogram.count_pairs(embeddings["test"], labels["test"])
    curve = pairs.curve_of_classes(dataset.unseen)
    values = dict.fromkeys(METRICS, np.nan)
    values[AUC_NEW] = curve.auc
    values[AUC_OLD] = pairs.curve_of_classes(dataset.seen).auc
    positive = [(c, c) for c in dataset.unseen]
    negative = [(new, old) for new in dataset.unseen for old in dataset.seen]
    values[AUC_MIXED] = pairs.curve(positive, negative).auc
    old = _best_threshold(embeddings["validation"], labels["validation"])
    values[OLD_THRESHOLD] = 100 * curve.accuracy(old)
    if config.labelled > 1:
        new = _best_threshold(embeddings["labelled"], labels["labelled"])
        values[NEW_THRESHOLD] = 100 * curve.accuracy(new)
    if config.labelled:
        is_new = np.isin(labels["test"], dataset.unseen)
        nearest = KNeighborsClassifier(1).fit(embeddings["labelled"], labels["labelled"])
        values[NEAREST] = 100 * nearest.score(embeddings["test"][is_new], labels["test"][is_new])
    return list(values.values())


def test_rows(config: SmallEncoderConfig) -> np.ndarray:
    """Return the images that all methods are evaluated on, with any number of labelled images."""
    dataset = config.load_data()
    split = dataset.split(config.seed).with_labelled(dataset, config.labelled)
    return slice_classes(split.all, dataset.labels, 0, MAX_TEST_IMAGES)


def embed_all(config: SmallEncoderConfig, method: Method) -> np.ndarray:
    """Return a method's embeddings of all images of a config's data set: (images, dimensions)."""
    dataset = config.load_data()
    rows = small_encoder.training_rows(config)
    is_old = np.isin(dataset.labels[rows], dataset.seen)
    chosen = {"old": is_old, "labelled": ~is_old, "old and labelled": slice(None)}
    rows = rows[chosen[method.fitted_on]]
    labels = dataset.labels[rows]
    if method.unlabelled:
        split = dataset.split(config.seed)
        pool = slice_classes(split.unseen, dataset.labels, 0, split.pool_size(dataset))
        rows = np.concatenate([rows, pool])
        labels = np.concatenate([labels, np.full(len(pool), ensemble.UNLABELLED)])
    if method.transform is unchanged:  # then it does not matter what it would be fitted to
        rows, labels = rows[:0], labels[:0]
    images = config.dataset, config.images_per_class
    fitted = method.transform, rows.tobytes(), labels.tobytes(), method.unit_length
    parts = [_transformed(_features, name, *images, *fitted) for name in method.features]
    parts += [
        _transformed(_network_features, one, *images, *fitted) for one in method.trainings(config)
    ]
    return np.concatenate(parts, axis=1)


@lru_cache(maxsize=64)  # what the methods have in common on a class split
def _transformed(
    compute: Callable[..., np.ndarray],
    source: str | Config,
    dataset: str,
    images_per_class: int | None,
    transform: Transform,
    rows: bytes,
    labels: bytes,
    unit_length: bool,
) -> np.ndarray:
    """Return a part of a method's embeddings: the transformed features from one source."""
    features = compute(source, dataset, images_per_class)
    rows, labels = (np.frombuffer(array, np.int64) for array in (rows, labels))
    part = transform(features, rows, labels)
    return baselines.scale_to_unit_length(part) if unit_length else part


@lru_cache(maxsize=8)
def _features(name: str, dataset: str, images_per_class: int | None) -> np.ndarray:
    return FEATURES[name](datasets.load(dataset, images_per_class).images)


@lru_cache(maxsize=4)  # two networks of a class split, without and with labelled images
def _network_features(config: Config, dataset: str, images_per_class: int | None) -> np.ndarray:
    return unseen_classes.network(config)(datasets.load(dataset, images_per_class).images)


def _best_threshold(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """Return the distance at which most pairs of images are classified correctly."""
    different = pdist(labels[:, np.newaxis]) > 0
    return RocCurve.from_pairs(pdist(embeddings), different).best_threshold


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise the table of `outcomes` over the splits.

    Returns:
        A row for each method and number of labelled images, a column for each metric of the table.
    """
    groups = table.groupby(["method", "labelled"], sort=False)
    rows = {
        key: {m: measurement(group[m], "" if "AUC" in m else "%") for m in METRICS if m in table}
        for key, group in groups
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=["method", "labelled"])
    return frame.rename_axis(columns="metric")


def auc_table(summary: pd.DataFrame, metric: str = AUC_NEW) -> pd.DataFrame:
    """Return a metric as a table: a row for each method, a column for some numbers of labels.

    Args:
        summary: As `summarise` returns it.
        metric: A name in METRICS.
    """
    table = summary[metric].unstack("labelled", sort=False)
    return table[[n for n in SHOWN_NUMBERS if n in table]].rename(columns="{} labels".format)


def gain(
    table: pd.DataFrame, method: tuple[str, int], other: tuple[str, int], metric: str = AUC_NEW
) -> pd.Series:
    """Return the difference of a metric between two methods: a value for each split.

    Args:
        table: As `outcomes` returns it.
        method: A method and its number of labelled images.
        other: The method that is subtracted, likewise.
        metric: A name in METRICS.
    """
    values = table.pivot(index="split", columns=["method", "labelled"], values=metric)
    return values[method] - values[other]


def leave_one_class_out(differences: pd.Series, classes: Iterable[str]) -> Measurement:
    """Return the mean of differences over the splits that do not have a class among the new ones.

    Splits share classes, so a single class could carry a mean over splits.

    Args:
        differences: A value for each split, named by its new classes, as `gain` returns it.
        classes: The names of all classes.

    Returns:
        One value for each class that is new in some splits but not in all.
    """
    means = []
    for name in classes:
        without = [name not in split.split(", ") for split in differences.index]
        if 0 < sum(without) < len(without):
            means.append(differences[without].mean())
    return measurement(means, signed=True)


def labels_for(summary: pd.DataFrame, method: str, auc: float) -> float:
    """Return the smallest number of labelled images with which a method reaches a mean AUC.

    Args:
        summary: As `summarise` returns it.
        method: A name in METHODS.
        auc: The AUC on new classes to reach.

    Returns:
        A number of labelled images of each new class at which the method was evaluated; NaN if no
        such number reaches the AUC.
    """
    means = summary.loc[method][AUC_NEW].map(lambda value: value.interval.mean)
    reached = means.index[means >= auc]
    return float(reached.min()) if len(reached) else np.nan


def upper_bounds(
    splits: Iterable[SmallEncoderConfig], bounds: Iterable[SmallEncoderConfig]
) -> pd.DataFrame:
    """Evaluate the upper bound on class splits: a network that was trained on all classes.

    Args:
        splits: Configs whose class splits are used.
        bounds: The configs of the upper bound, one for each seed; empty if there is none.

    Returns:
        A row for each split, as in `outcomes`; empty if there is no upper bound.
    """
    by_seed = {bound.seed: bound for bound in bounds}
    rows = []
    for split in splits if by_seed else ():
        method = Method(trainings=lambda _, bound=by_seed[split.seed]: [bound], transform=unchanged)
        dataset = split.load_data()
        row = {"split": ", ".join(dataset.names_of(dataset.unseen))}
        rows.append(row | evaluate(split, method, "upper bound"))
    return pd.DataFrame(rows)


def by_number_of_classes(configs: Iterable[SmallEncoderConfig]) -> pd.DataFrame:
    """Compute the AUC on two new classes, for networks trained on different numbers of others.

    Args:
        configs: As `StudyPlan.class_number_configs` returns them.

    Returns:
        A row for each config. Columns: `repetition`, `classes` (the number trained on), `AUC` and
        `new classes`, which no network of the repetition is trained on.
    """
    configs = list(configs)
    trained = {c.seed: set() for c in configs}
    for config in configs:
        trained[config.seed] |= set(config.seen)
    rows = []
    for config in configs:
        dataset = config.load_data()
        new = tuple(c for c in dataset.classes if c not in trained[config.seed])
        row = {"repetition": config.seed, "classes": len(config.seen), "AUC": _auc(config, new)}
        rows.append(row | {"new classes": ", ".join(dataset.names_of(new))})
    return pd.DataFrame(rows)


def _auc(config: SmallEncoderConfig, classes: Sequence[int]) -> float:
    """Return the AUC of a whitened network on all pairs of test images of classes."""
    parts = {"AUC": config.key(), "network": trainer.train(config).digest, "classes": list(classes)}
    code = ["evaluation.new_classes._measure_auc", "training.trainer.embed"]
    arrays = cache.cached(parts, code, lambda: {"AUC": np.float64(_measure_auc(config, classes))})
    return float(arrays["AUC"])


def _measure_auc(config: SmallEncoderConfig, classes: Sequence[int]) -> float:
    dataset = config.load_data()
    unseen = dataset.split(config.seed).unseen
    # The configs differ in the size of their data sets, so all take as few images as the smallest.
    rows = slice_classes(
        unseen[np.isin(dataset.labels[unseen], classes)], dataset.labels, 0, MAX_TEST_IMAGES // 2
    )
    embeddings = embed_all(config, Method(trainings=lambda one: [one]))[rows]
    pairs = pair_histogram.count_pairs(embeddings, dataset.labels[rows])
    return pairs.curve_of_classes(classes).auc
