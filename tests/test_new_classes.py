"""Methods for new classes: what they may use, and how they are evaluated."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from siamese_utils.data import datasets
from siamese_utils.data.dataset import Dataset, slice_classes
from siamese_utils.evaluation import baselines, ensemble, new_classes, unseen_classes
from siamese_utils.training import new_class_networks, small_encoder, study_plan, trainer
from siamese_utils.training.small_encoder import SmallEncoderConfig

CONFIG = SmallEncoderConfig(
    dataset="digits", images_per_class=60, num_synthetic=2, class_size=4, steps=10
)


pytestmark = pytest.mark.usefixtures("module_store")


def forget():
    """Make this process forget digests and features."""
    small_encoder._digest.cache_clear()
    unseen_classes._embed_cached.cache_clear()
    new_classes._transformed.cache_clear()
    new_classes._features.cache_clear()
    new_classes._network_features.cache_clear()


@pytest.fixture
def forgotten():
    yield
    forget()


def test_rows_are_sliced_class_by_class():
    labels = np.array([1, 0, 1, 1, 0, 2])
    rows = np.array([5, 3, 1, 2, 4, 0])
    assert slice_classes(rows, labels, 0, 1).tolist() == [1, 3, 5]
    assert slice_classes(rows, labels, 1, 3).tolist() == [4, 2, 0]


def test_labelled_images_leave_the_test_images_whatever_their_number():
    dataset = CONFIG.load_data()
    split = dataset.split(0)
    assert split.pool_size(dataset) == 30
    of_number = {n: split.with_labelled(dataset, n) for n in (0, 2, 30, 99)}
    assert np.array_equal(of_number[0].train, split.train)
    for number, one in of_number.items():
        added = np.setdiff1d(one.train, split.train)
        counts = np.bincount(dataset.labels[added], minlength=10)
        assert counts[list(dataset.unseen)].tolist() == [min(number, 30)] * 4
        assert counts.sum() == 4 * min(number, 30)
        assert np.array_equal(one.unseen, of_number[0].unseen)
        assert len(one.unseen) == 4 * 30
        assert not set(one.train) & set(one.all)
    assert set(of_number[2].train) < set(of_number[30].train)


def test_a_copy_of_a_labelled_image_is_no_test_image():
    images = np.random.default_rng(0).integers(0, 256, (24, 4, 4, 1), dtype=np.uint8)
    labels = np.repeat([0, 1, 2, 3], 6)
    dataset = Dataset("own", images, labels, tuple("abcd"), (0, 1), (2, 3))
    first = dataset.split(0).with_labelled(dataset, 1).train[-1]
    other = dataset.split(0).with_labelled(dataset, 1).unseen[0]
    images[other] = images[first]
    copied = replace(dataset, images=images)
    object.__setattr__(copied, "split", lambda _: dataset.split(0))  # it keeps copies together
    assert other not in copied.split(0).with_labelled(copied, 1).unseen


@pytest.mark.parametrize("name", new_classes.METHODS)
@pytest.mark.slow
def test_no_method_uses_a_test_image_or_more_labels_than_its_number(name, monkeypatch, forgotten):
    method = new_classes.METHODS[name]
    number = max(n for n in new_class_networks.available(CONFIG, method.numbers) if n <= 20)
    config = replace(CONFIG, labelled=number)
    dataset = config.load_data()
    split = dataset.split(config.seed)
    parts = split.with_labelled(dataset, number)
    pool = slice_classes(split.unseen, dataset.labels, 0, split.pool_size(dataset))
    used = np.concatenate([parts.train, pool]) if method.unlabelled else parts.train
    before = new_classes.embed_all(config, method)[used]
    images, labels = dataset.images.copy(), dataset.labels.copy()
    others = np.setdiff1d(np.arange(len(labels)), used)
    rng = np.random.default_rng(0)
    images[others] = rng.integers(0, 256, images[others].shape)
    new = np.setdiff1d(split.unseen, parts.train)  # the labels of unlabelled images count neither
    labels[new] = rng.permutation(labels[new])
    changed = replace(dataset, images=images, labels=labels)
    object.__setattr__(changed, "split", lambda _: split)
    with_labelled = type(split).with_labelled  # which goes by the labels
    monkeypatch.setattr(
        type(split), "with_labelled", lambda self, _, n: with_labelled(self, dataset, n)
    )
    monkeypatch.setattr(new_classes, "slice_classes", lambda *_: pool)
    monkeypatch.setattr(datasets, "load", lambda *_: changed)
    forget()
    after = new_classes.embed_all(config, method)[used]
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)


def test_metrics_agree_with_scikit_learn():
    name = new_classes.PIXELS
    config = replace(CONFIG, labelled=5)
    values = new_classes.evaluate(config, new_classes.METHODS[name], name)
    dataset = config.load_data()
    split = dataset.split(0).with_labelled(dataset, 5)
    unit = baselines.to_unit_length(baselines.pixels)(dataset.images)
    labels = dataset.labels
    labelled = split.train[np.isin(labels[split.train], dataset.unseen)]

    def pairs(rows):
        first, second = np.triu_indices(len(rows), 1)
        distance = np.linalg.norm(unit[rows][first] - unit[rows][second], axis=1)
        return distance, labels[rows][first] != labels[rows][second]

    distance, different = pairs(split.unseen)
    # each class, and each two, weigh the same: here they are all of one size
    assert values[new_classes.AUC_NEW] == pytest.approx(
        roc_auc_score(different, distance), abs=1e-3
    )
    distance, different = pairs(split.seen)
    assert values[new_classes.AUC_OLD] == pytest.approx(
        roc_auc_score(different, distance), abs=1e-2
    )
    first, second = (a.ravel() for a in np.meshgrid(split.unseen, split.seen))
    mixed = np.linalg.norm(unit[first] - unit[second], axis=1)
    distance, different = pairs(split.unseen)
    distance = np.concatenate([distance[~different], mixed])
    assert values[new_classes.AUC_MIXED] == pytest.approx(
        roc_auc_score(np.arange(len(distance)) >= (~different).sum(), distance), abs=1e-2
    )
    nearest = [
        labels[labelled[np.argmin(np.linalg.norm(unit[labelled] - unit[row], axis=1))]]
        for row in split.unseen
    ]
    right = 100 * np.mean(np.array(nearest) == labels[split.unseen])
    assert values[new_classes.NEAREST] == pytest.approx(right)
    for column, rows in (
        (new_classes.OLD_THRESHOLD, split.validation),
        (new_classes.NEW_THRESHOLD, labelled),
    ):
        distance, different = pairs(rows)
        thresholds = np.unique(distance)
        accuracies = [
            (np.mean(distance[~different] <= t) + np.mean(distance[different] > t)) / 2
            for t in thresholds
        ]
        best = thresholds[np.argmax(accuracies)]
        distance, different = pairs(split.unseen)
        expected = (np.mean(distance[~different] <= best) + np.mean(distance[different] > best)) / 2
        assert values[column] == pytest.approx(100 * expected, abs=2)


def test_only_the_last_layer_of_a_trained_network_is_trained_again():
    [config] = new_class_networks.last_layer(replace(CONFIG, labelled=5))
    [before] = config.requires
    assert before == CONFIG
    old, new = trainer.train(before).weights, trainer.train(config).weights
    same = [np.array_equal(a, b) for a, b in zip(old, new, strict=True)]
    assert (
        same == [True] * (len(same) - 2) + [False] * 2
    )  # the weights and biases of the last layer
    with pytest.raises(ValueError, match="labelled"):
        replace(CONFIG, last_layer_only=True)


def test_what_methods_have_in_common_is_computed_once_and_not_changed():
    """The parts of an embedding, fitted and scaled by hand, whichever method asked first."""
    config = replace(CONFIG, labelled=2)
    dataset = config.load_data()
    split = dataset.split(config.seed).with_labelled(dataset, 2)
    old = split.train[np.isin(dataset.labels[split.train], dataset.seen)]
    new = split.train[np.isin(dataset.labels[split.train], dataset.unseen)]
    fitted = {"old": old, "labelled": new}
    for _ in range(2):
        for fitted_on, rows in fitted.items():
            method = new_classes.Method(("mask", "pixels"), fitted_on=fitted_on)
            parts = []
            for features in (baselines.foreground_mask, baselines.pixels):
                values = features(dataset.images)
                whitening = ensemble.fit_whitening(values[rows], dataset.labels[rows])
                white = (values - whitening.middle) @ whitening.transform
                parts.append(white / np.linalg.norm(white, axis=1, keepdims=True))
            embedded = new_classes.embed_all(config, method)
            np.testing.assert_allclose(embedded, np.hstack(parts), atol=1e-4)


def test_outcomes_have_a_row_for_each_number_that_is_available():
    few = replace(CONFIG, images_per_class=40)  # of which 20 can be labelled
    table = new_classes.outcomes([few], [new_classes.PIXELS])
    assert table["labelled"].tolist() == [0, 1, 2, 5, 10, 20]
    summary = new_classes.summarise(table)
    missing = {
        metric: summary[metric].map(lambda value: np.isnan(value.interval.mean)).tolist()
        for metric in new_classes.METRICS
    }
    assert missing[new_classes.NEAREST] == [True, False, False, False, False, False]
    assert missing[new_classes.NEW_THRESHOLD] == [True, True, False, False, False, False]
    assert not any(missing[new_classes.AUC_NEW])
    assert list(new_classes.auc_table(summary).columns) == ["0 labels", "5 labels", "20 labels"]


@pytest.fixture
def table():
    """The AUC of two methods on three splits."""
    values = {("a", 0): [0.6, 0.7, 0.8], ("a", 20): [0.7, 0.9, 0.9], ("b", 0): [0.5, 0.5, 0.5]}
    splits = ["x, y", "x, z", "y, z"]
    return pd.DataFrame(
        {"split": split, "method": method, "labelled": number, new_classes.AUC_NEW: auc}
        for (method, number), of_one in values.items()
        for split, auc in zip(splits, of_one, strict=True)
    )


def test_gains_are_taken_split_by_split(table):
    gain = new_classes.gain(table, ("a", 20), ("a", 0))
    assert gain.to_dict() == pytest.approx({"x, y": 0.1, "x, z": 0.2, "y, z": 0.1})
    # without x only the split y, z is left, and so on; no split has w
    without = new_classes.leave_one_class_out(gain, ["x", "y", "z", "w"])
    np.testing.assert_allclose(without.values, [0.1, 0.2, 0.1])


def test_the_number_of_labels_that_reaches_an_auc(table):
    for metric in new_classes.METRICS[1:]:
        table[metric] = 0.0
    summary = new_classes.summarise(table)
    assert new_classes.labels_for(summary, "a", 0.69) == 0
    assert new_classes.labels_for(summary, "a", 0.75) == 20
    assert np.isnan(new_classes.labels_for(summary, "a", 0.95))


def test_each_method_uses_networks_of_the_plan():
    plan = study_plan.make_plan("smoke", "digits")
    planned = set(plan.configs("09-new-classes"))
    for split in plan.class_splits()["test"]:
        for name, method in new_classes.METHODS.items():
            for number in new_class_networks.available(split, method.numbers):
                assert set(method.trainings(replace(split, labelled=number))) <= planned, name


def test_the_new_classes_of_a_repetition_are_never_trained_on():
    configs = [
        replace(CONFIG, seen=tuple(range(n)), images_per_class=60 // n, num_synthetic=0)
        for n in (2, 4)
    ]
    eight = replace(CONFIG, seen=tuple(range(8)), images_per_class=20, num_synthetic=0)
    table = new_classes.by_number_of_classes([*configs, eight])
    assert table["classes"].tolist() == [2, 4, 8]
    assert set(table["new classes"]) == {"8, 9"}
    assert table["AUC"].between(0, 1).all()


def test_the_upper_bound_is_that_of_the_seed():
    bound = replace(CONFIG, seen=None, all_classes=True, num_synthetic=0, steps=20)
    found = new_classes.upper_bounds([CONFIG], [bound])
    assert len(found) == 1
    assert 0 <= found[new_classes.AUC_NEW][0] <= 1
    assert new_classes.upper_bounds([CONFIG], []).empty


def test_development_and_test_splits_are_all_other():
    splits = study_plan.make_plan("full", "digits").class_splits()
    unseen = [
        tuple(c for c in range(10) if c not in config.seen) for g in splits.values() for config in g
    ]
    assert len(set(unseen)) == len(unseen) == 25
    assert set(unseen) <= set(combinations(range(10), 4))
    assert set(unseen[:5]) == set(study_plan.DEVELOPMENT_SPLITS)
