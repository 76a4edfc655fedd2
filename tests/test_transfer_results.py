from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from siamese_utils.data import textures
from siamese_utils.evaluation import transfer_results
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.training import one_shot_article, trainer, transfer
from siamese_utils.training.transfer import TransferConfig

SETS = ("validation", "test")


def perfect(seed):
    """Distances in the right order, but in another scale: only a tuned threshold can tell."""
    different = {s: transfer.sample_pairs(TransferConfig(seed=seed), s)[2].different for s in SETS}
    return {s: 7 + 2 * y for s, y in different.items()}


def constant(seed):
    """Distances that say nothing, and all of them below 0.5."""
    return {s: np.full_like(distance, 0.1) for s, distance in perfect(seed).items()}


def test_test_pairs_are_judged_with_a_threshold_tuned_on_validation_pairs():
    metrics = transfer_results.metrics([perfect(0), perfect(1)])
    assert {name: measured.values.tolist() for name, measured in metrics.items()} == {
        "accuracy, 0.5": [50, 50],
        "accuracy, tuned": [100, 100],
        "AUC": [1, 1],
    }
    assert [measured.unit for measured in metrics] == ["%", "%", ""]


def test_the_threshold_is_not_tuned_on_test_pairs():
    distances = perfect(0)
    distances["test"] = distances["test"] / 2  # of another scale than those of validation
    metrics = transfer_results.metrics([distances])
    assert metrics["accuracy, tuned"].values.tolist() == [50]
    assert metrics["AUC"].values.tolist() == [1]


@pytest.fixture
def plan(monkeypatch):
    """A plan of two numbers of pairs and two seeds; only pretrained encoders tell pairs apart."""

    def train(config):
        distances = (perfect if config.start == "pretrained" else constant)(config.seed)
        return SimpleNamespace(distances=distances)

    def configs(number, **changes):
        return [
            TransferConfig(number, **start, seed=seed, **changes)
            for start in ({}, {"source": "fashion-mnist"}, {"start": "scratch"})
            for seed in (0, 1)
        ]

    transfers = {("contrastive", 10): configs(10), ("contrastive", 50): configs(50)}
    transfers["triplet", 50] = configs(50, task="triplet")
    monkeypatch.setattr(trainer, "train", train)
    informed = (transfer_results.FROZEN, "brightest patch")
    monkeypatch.setattr(
        transfer_results,
        "untrained_distances",
        lambda seed: {
            name: (perfect if name in informed else constant)(seed)
            for name in transfer_results.UNTRAINED_METHODS
        },
    )
    profile = SimpleNamespace(transfer_seeds=2, pair_numbers=(10, 50))
    return SimpleNamespace(transfers=lambda: transfers, profile=profile)


def test_the_metrics_table_has_a_row_for_each_encoder_and_number_of_pairs(plan):
    table = transfer_results.metrics_table(plan)
    assert table.index.is_unique
    # three starts in three ways, and five methods without training on pairs for either number
    assert len(table) == 3 * 3 + 5 * 2
    auc = {row: measured.values.tolist() for row, measured in table["AUC"].items()}
    assert auc["pretrained on digits, contrastive", 10] == [1, 1]
    assert auc["pretrained on fashion-mnist, triplet", 50] == [1, 1]
    assert auc["from scratch, contrastive", 10] == [0.5, 0.5]
    assert auc["from scratch, triplet", 50] == [0.5, 0.5]
    assert ("from scratch, triplet", 10) not in auc
    assert auc["pretrained on digits, frozen", 10] == [1, 1]
    assert auc["untrained encoder", 50] == [0.5, 0.5]
    assert auc["mean grey", 50] == [0.5, 0.5]
    assert auc["brightest patch", 50] == [1, 1]
    assert auc["raw pixels", 10] == [0.5, 0.5]


def test_auc_differences_are_taken_seed_by_seed():
    auc = pd.Series(
        {
            (name, 50): measurement(values)
            for name, values in {
                "pretrained on digits, contrastive": [0.9, 0.8],
                "pretrained on fashion-mnist, contrastive": [0.75, 0.6],
                "from scratch, contrastive": [0.7, 0.5],
                "raw pixels": [0.6, 0.6],
                "untrained encoder": [0.5, 0.75],
            }.items()
        }
    )
    table = transfer_results.auc_differences(auc)
    assert table.columns.tolist() == ["minus from scratch", "minus raw pixels"]
    differences = table.loc[("pretrained on digits", "contrastive", 50)]
    assert differences["minus from scratch"].values.tolist() == pytest.approx([0.2, 0.3])
    assert differences["minus raw pixels"].values.tolist() == pytest.approx([0.3, 0.2])
    differences = table.loc[("pretrained on fashion-mnist", "contrastive", 50)]
    assert differences["minus from scratch"].values.tolist() == pytest.approx([0.05, 0.1])
    assert differences["minus raw pixels"].values.tolist() == pytest.approx([0.15, 0])
    assert differences["minus from scratch"].signed


def test_auc_differences_are_of_pretrained_encoders_after_transfer(plan):
    table = transfer_results.auc_differences(transfer_results.metrics_table(plan)["AUC"])
    assert table.index.names == ["initialisation", "task", "pairs"]
    # neither of the encoder from scratch, nor of one that is frozen
    assert sorted(table.index) == [
        (f"pretrained on {source}", *kind)
        for source in ("digits", "fashion-mnist")
        for kind in (("contrastive", 10), ("contrastive", 50), ("triplet", 50))
    ]
    assert all(gain.values.tolist() == [0.5, 0.5] for gain in table["minus from scratch"])


@pytest.fixture
def images():
    """Textures of either class."""
    return textures.sample_textures(np.arange(6) % 2, np.random.default_rng(0))


def test_the_mean_grey_by_a_plain_sum(images):
    measured = transfer_results.FEATURES["mean grey"](images)
    expected = [sum(map(float, image.ravel())) / (32 * 32) for image in images]
    assert measured.ravel().tolist() == pytest.approx(expected, rel=1e-5)


def test_the_brightest_patch_by_plain_loops(images):
    measured = transfer_results.FEATURES["brightest patch"](images)
    assert measured.shape == (6, 1)
    for image, found in zip(images[..., 0], measured[:, 0], strict=True):
        means = [image[r : r + 5, c : c + 5].mean() for r in range(28) for c in range(28)]
        assert found == pytest.approx(max(means), rel=1e-5)
    # a rectangle of 9 x 9 pixels or more holds a patch
    assert (measured[1::2] >= 231 / 255 - 1e-5).all()


def test_the_brightest_patch_of_a_small_square_by_hand():
    images = np.zeros((2, 32, 32, 1), dtype=np.float32)
    images[0, 10:13, 20:23] = 1  # nine of 25 pixels
    images[1, 10:16, 20:26] = 0.5  # more than a patch
    measured = transfer_results.FEATURES["brightest patch"](images)
    assert measured.ravel().tolist() == pytest.approx([9 / 25, 0.5], rel=1e-5)


def test_features_are_compared_by_the_euclidean_distance(monkeypatch):
    monkeypatch.setattr(transfer_results, "_before_training", lambda config: {})
    distances = transfer_results.untrained_distances(1)
    assert set(transfer_results.FEATURES) < set(distances)
    assert tuple(distances) == transfer_results.UNTRAINED_METHODS
    for name, size in (("validation", 50), ("test", 500)):
        images, _, sampled = transfer.sample_pairs(TransferConfig(seed=1), name)
        a, b = (images[rows].astype(float) for rows in (sampled.first, sampled.second))
        for i in (0, 7, size - 1):
            by_pixel = np.sqrt(np.sum((a[i] - b[i]) ** 2))
            assert distances["raw pixels"][name][i] == pytest.approx(by_pixel, rel=1e-5)
            by_mean = abs(a[i].mean() - b[i].mean())
            assert distances["mean grey"][name][i] == pytest.approx(by_mean, abs=4e-4)
        assert {distances[of][name].shape for of in transfer_results.FEATURES} == {(size,)}


@pytest.mark.slow
def test_the_distances_without_training_on_pairs_are_cached(store, short_pretraining, monkeypatch):
    untrained = transfer.build_encoder(TransferConfig(start="scratch"))
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: untrained)
    distances = transfer_results.untrained_distances(0)
    assert set(distances) == set(transfer_results.UNTRAINED_METHODS)
    assert np.array_equal(
        distances[transfer_results.FROZEN]["test"], distances[transfer_results.UNTRAINED]["test"]
    )
    expected = transfer.measure_distances(untrained, TransferConfig(start="scratch"))
    assert np.array_equal(distances[transfer_results.UNTRAINED]["test"], expected["test"])
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: pytest.fail("measured again"))
    cached = transfer_results.untrained_distances(0)
    assert np.array_equal(
        cached[transfer_results.FROZEN]["test"], distances[transfer_results.FROZEN]["test"]
    )


class Encoder:
    """An encoder that embeds an image by a function."""

    def __init__(self, embed):
        self.embed = embed

    def predict(self, images, verbose):
        return np.float32([self.embed(image) for image in images])


def has_rectangle(image):
    return np.isclose(image[7:16, 7:16], 231 / 255).all()


@pytest.fixture
def article(store, monkeypatch):
    """A function that has the article's system return an encoder, and measures it."""
    measured = {"classifier": 0.75, "training": 0.5, "test": 0.875}
    runs = []

    def measure(embed, seed=1):
        def run(of_seed, epochs, pretrained):
            assert epochs == 2
            assert pretrained
            runs.append(of_seed)
            return Encoder(embed), {name: np.array(share) for name, share in measured.items()}

        monkeypatch.setattr(one_shot_article, "run", run)
        return transfer_results.article_results(seed, epochs=2)

    measure.runs = runs
    return measure


def test_the_article_is_measured_on_its_own_pairs_and_on_fresh_ones(article):
    found = article(lambda image: [has_rectangle(image), 0])
    # on its own pairs as the run says; on fresh ones the distance is 1 if the labels differ
    assert found == {
        "digits": 75,
        "training pairs": 50,
        "test pairs": 87.5,
        "fresh pairs": 100,
        "AUC, fresh pairs": 1,
    }


def test_the_log_of_the_article_has_a_row_for_each_epoch_of_both_runs(store, monkeypatch):
    logs = {"pretraining log": np.eye(4)[:2], "training log": np.full((1, 4), 0.5)}
    monkeypatch.setattr(
        one_shot_article, "run", lambda *_: (Encoder(lambda image: [0, 0]), dict(logs))
    )
    log = transfer_results.article_log(0, epochs=2)
    assert log.index.tolist() == [("pretraining", 1), ("pretraining", 2), ("training", 1)]
    assert log.columns.tolist() == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert log.to_numpy().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0.5] * 4]


def test_fresh_pairs_are_judged_at_a_distance_of_a_half(article):
    # all pairs are nearer than 0.5, in the right order: half of them are right, the positive ones
    found = article(lambda image: [0.4 * has_rectangle(image)])
    assert (found["fresh pairs"], found["AUC, fresh pairs"]) == (50, 1)


def test_what_the_article_cannot_tell_apart_counts_as_different(article):
    found = article(lambda _: [np.nan, 0])
    assert (found["fresh pairs"], found["AUC, fresh pairs"]) == (50, 0.5)


def test_the_results_of_the_article_are_cached_by_seed(article):
    first = article(lambda image: [has_rectangle(image)])
    again = article(lambda image: pytest.fail("embedded again"))
    assert again == first
    assert article.runs == [1]
    article(lambda image: [has_rectangle(image)], seed=2)
    assert article.runs == [1, 2]
