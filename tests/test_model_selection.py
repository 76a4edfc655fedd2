import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from siamese_utils import model_selection
from siamese_utils.verifier import SiameseVerifier


@pytest.fixture(scope="module")
def some_digits(digits):
    rows = np.concatenate([np.flatnonzero(digits.labels == c)[:20] for c in range(6)])
    return digits.images[rows], digits.labels[rows]


def test_models_are_compared_on_classes_that_they_were_not_fitted_to(some_digits, monkeypatch):
    images, labels = some_digits
    monkeypatch.setattr(model_selection, "MODELS", ("raw pixels", "base"))
    scores = model_selection.compare_models(images, labels, epochs=1)
    assert set(scores) == {"raw pixels", "base"}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    by_hand = []
    for train, test in GroupKFold(3).split(images, labels, labels):
        assert not set(labels[train]) & set(labels[test])
        verifier = SiameseVerifier("raw pixels").fit(images[train], labels[train])
        by_hand.append(verifier.score(images[test], labels[test]))
    assert scores["raw pixels"] == pytest.approx(np.mean(by_hand), abs=1e-3)


def test_a_model_that_cannot_take_the_images_comes_last(some_digits, monkeypatch):
    images, labels = some_digits
    monkeypatch.setattr(model_selection, "MODELS", ("ensemble", "raw pixels"))
    large = np.pad(images, ((0, 0), (0, 50), (0, 50), (0, 0)))  # larger than the ensemble takes
    scores = model_selection.compare_models(large, labels)
    assert list(scores) == ["raw pixels", "ensemble"]
    assert scores["ensemble"] is None


def test_few_classes_cannot_be_compared(some_digits):
    images, labels = some_digits
    with pytest.raises(ValueError, match=r"5 classes are too few .*6 are needed"):
        model_selection.compare_models(images[labels < 5], labels[labels < 5])


def test_a_fault_of_the_images_is_not_taken_for_a_size(some_digits, monkeypatch):
    images, labels = some_digits
    monkeypatch.setattr(model_selection, "MODELS", ("raw pixels",))
    rows = np.concatenate([np.flatnonzero(labels == c)[:5] for c in range(6)])
    with pytest.raises(ValueError, match="training needs two classes of 20 images"):
        model_selection.compare_models(images[rows], labels[rows])
