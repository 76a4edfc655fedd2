"""Test images, and images of unseen classes, that get where they must not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from siamese_utils import settings
from siamese_utils.data import dataset as data
from siamese_utils.data import datasets
from siamese_utils.evaluation import ensemble, pair_distances, unseen_classes
from siamese_utils.reporting import show
from siamese_utils.training import cache, small_encoder, trainer
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig

SHORT = TrainingConfig(dataset="digits", images_per_class=60, epochs=1)
SMALL = SmallEncoderConfig(dataset="digits", images_per_class=60, steps=10)


@pytest.fixture
def replace_test_images(monkeypatch):
    """A function that puts noise in the place of all test images, seen and unseen."""

    def replace_them():
        whole = datasets.load("digits", SHORT.images_per_class)
        split = whole.split(0)
        images = whole.images.copy()
        shape = images[split.all].shape
        images[split.all] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        monkeypatch.setattr(datasets, "load", lambda *_: replace(whole, images=images))
        monkeypatch.setattr(data, "_split", lambda *_: split)  # or copies would be dealt otherwise

    return replace_them


@pytest.mark.fault(
    "noise in the place of every test image",
    "the same weights to the bit, the same threshold; only the test's figures differ",
)
def test_training_and_the_tuned_threshold_use_no_test_image(store, replace_test_images):
    def train():
        result = trainer.train(SHORT)
        [measured] = pair_distances.of_trained([result])
        return result, measured

    result, measured = train()
    replace_test_images()
    other_result, other = train()
    assert other_result.record["key"] != result.record["key"]  # it was trained anew
    weights = zip(result.weights, other_result.weights, strict=True)
    assert all(np.array_equal(*both) for both in weights)
    # The bins' width follows the largest distance, which noise may change: so may the threshold, by
    # the width of the wider bins, where its accuracy on validation images is the same.
    assert np.array_equal(other.sampled["validation"], measured.sampled["validation"])
    curve = measured.sampled_curve("validation")
    pairs = len(measured.sampled["validation"])
    assert curve.accuracy(other.validation_threshold) == pytest.approx(
        curve.accuracy(measured.validation_threshold), abs=2.5 / pairs
    )
    assert other.sampled_curve("unseen").auc != measured.sampled_curve("unseen").auc
    assert np.array_equal(other.sampled["train"], measured.sampled["train"])


@pytest.mark.fault(
    "noise in the place of every image of an unseen class",
    "the ensemble is the same to the bit, networks and whitening",
)
@pytest.mark.slow
def test_the_ensemble_uses_no_unseen_image(store, replace_test_images):
    def fit():
        small_encoder._digest.cache_clear()
        unseen_classes._embed_cached.cache_clear()
        images, labels = small_encoder.training_data(SMALL)
        result = trainer.train(SMALL)
        return result, ensemble.fit(images, labels, [unseen_classes.network(SMALL)])

    result, whitenings = fit()
    replace_test_images()
    cache.path_of(result.key).unlink()  # so that it is trained anew
    other_result, other_whitenings = fit()
    assert other_result.key == result.key
    weights = zip(result.weights, other_result.weights, strict=True)
    assert all(np.array_equal(*both) for both in weights)
    for whitening, other in zip(whitenings, other_whitenings, strict=True):
        assert np.array_equal(whitening.middle, other.middle)
        assert np.array_equal(whitening.transform, other.transform)


def run_cells(name):
    text = (settings.NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    scope = {"__name__": "__main__"}
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), scope)
            if "parameters" in cell["metadata"].get("tags", ()):
                scope |= {"profile": "quick", "dataset": "digits", "seeds": 2}


@pytest.mark.fault(
    "test images are planted among those that are trained on", "a page's own check ends it"
)
@pytest.mark.parametrize("planted", ["seen", "unseen"])
def test_test_images_among_training_images_fail_a_check_of_the_page(
    store, results, monkeypatch, planted
):
    whole = datasets.load("digits")
    split = whole.split(0)
    train = np.append(split.train, getattr(split, planted)[:50])
    monkeypatch.setattr(data, "_split", lambda *_: replace(split, train=train))
    with pytest.raises(
        show.CheckFailedError, match=r"^(Training, validation and test|No training image)"
    ):
        run_cells("01-data-splits")
