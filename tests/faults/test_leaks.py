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
from siamese_utils.training import small_encoder, trainer
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig

SHORT = TrainingConfig(dataset="digits", images_per_class=60, epochs=1)
STEP = SmallEncoderConfig(dataset="digits", images_per_class=60, steps=10)


@pytest.fixture
def spoil(monkeypatch):
    """A function that puts noise in the place of all test images, seen and unseen."""

    def spoil_it():
        whole = datasets.load("digits", SHORT.images_per_class)
        split = whole.split(0)
        images = whole.images.copy()
        shape = images[split.all].shape
        images[split.all] = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        monkeypatch.setattr(datasets, "load", lambda *_: replace(whole, images=images))
        monkeypatch.setattr(data, "_split", lambda *_: split)  # or copies would be dealt otherwise

    return spoil_it


@pytest.mark.fault(
    "noise in the place of every test image",
    "the same weights to the bit, the same threshold; only the test's figures differ",
)
def test_a_training_and_its_threshold_know_no_test_image(store, spoil):
    def learn():
        run = trainer.train(SHORT)
        [found] = pair_distances.of_trained([run])
        return run, found

    run, found = learn()
    spoil()
    other, spoiled = learn()
    assert other.record["key"] != run.record["key"]  # it was trained anew
    assert all(np.array_equal(*both) for both in zip(run.weights, other.weights, strict=True))
    # The bins' width follows the largest distance, which noise may change: so may the threshold, by
    # the width of the wider bins, where its accuracy on validation images is the same.
    assert np.array_equal(spoiled.sampled["validation"], found.sampled["validation"])
    curve = found.sampled_curve("validation")
    pairs = len(found.sampled["validation"])
    assert curve.accuracy(spoiled.validation_threshold) == pytest.approx(
        curve.accuracy(found.validation_threshold), abs=2.5 / pairs
    )
    assert spoiled.sampled_curve("unseen").auc != found.sampled_curve("unseen").auc
    assert np.array_equal(spoiled.sampled["train"], found.sampled["train"])


@pytest.mark.fault(
    "noise in the place of every image of an unseen class",
    "the recipe is the same to the bit, networks and whitening",
)
def test_the_recipe_knows_no_unseen_image(store, spoil):
    def learn():
        images, labels = small_encoder.training_data(STEP)
        networks = [unseen_classes._network(STEP, unseen_classes.LAYERS[0])]
        return trainer.train(STEP).weights, ensemble.fit(images, labels, networks)

    weights, fitted = learn()
    spoil()
    unseen_classes._by_network.cache_clear()
    others, again = learn()
    assert all(np.array_equal(*both) for both in zip(weights, others, strict=True))
    for one, other in zip(fitted, again, strict=True):
        assert np.array_equal(one.middle, other.middle)
        assert np.array_equal(one.transform, other.transform)


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
def test_planted_images_end_the_page_on_splits(store, results, monkeypatch, planted):
    whole = datasets.load("digits")
    split = whole.split(0)
    train = np.append(split.train, getattr(split, planted)[:50])
    monkeypatch.setattr(data, "_split", lambda *_: replace(split, train=train))
    with pytest.raises(
        show.CheckFailedError, match=r"^(Train, validation and test|No training image)"
    ):
        run_cells("01-data-splits")
