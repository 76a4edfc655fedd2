"""What is fitted on seen classes and applied to others: it never receives images of these before."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from skimage.feature import hog

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.evaluation import baselines, ensemble, new_classes, unseen_classes
from siamese_utils.training import small_encoder, trainer
from siamese_utils.training.small_encoder import SmallEncoderConfig

CONFIG = SmallEncoderConfig(
    dataset="digits", images_per_class=40, num_synthetic=2, class_size=4, steps=10
)


pytestmark = pytest.mark.usefixtures("module_store")


@pytest.fixture
def clear_memory():
    """A function that makes this process forget digests and embeddings, as after the test."""

    def clear():
        small_encoder._digest.cache_clear()
        unseen_classes._embed_cached.cache_clear()

    yield clear
    clear()


def test_hog_features_are_those_of_scikit_image(digits):
    features = ensemble.hog_features(digits.images[:3])
    expected = hog(digits.images[2, ..., 0], 9, (4, 4), (2, 2))
    np.testing.assert_allclose(features[2], expected, rtol=1e-5)


def test_the_subtracted_mean_is_that_of_the_class_means():
    images, labels = small_encoder.training_data(CONFIG)
    means = [baselines.pixels(images[labels == c]).mean(axis=0) for c in np.unique(labels)]
    rows = np.arange(len(images))
    centred = new_classes.subtract_mean(baselines.pixels(images), rows, labels)[:2]
    np.testing.assert_allclose(centred, baselines.pixels(images[:2]) - np.mean(means, axis=0))


def test_whitening_gives_each_class_the_same_weight():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 4)) * [3, 1, 2, 1]
    labels = np.repeat([0, 1, 2], 20)
    # the last class once more: its images count half as much each, and so as much together
    repeated = np.concatenate([features, features[40:]])
    more = np.concatenate([labels, labels[40:]])
    one, other = (
        ensemble.fit_whitening(*of)(features) for of in ((features, labels), (repeated, more))
    )
    np.testing.assert_allclose(pdist(one), pdist(other), rtol=0.02)
    uneven = np.cov(np.concatenate([repeated]).T)
    assert not np.allclose(uneven, np.cov(features.T), rtol=0.02)  # it does count elsewhere


def test_unlabelled_images_set_the_centre_of_whitening():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 3)), np.repeat([0, 1], 20)
    new = rng.normal(loc=5, size=(10, 3))
    whitening = ensemble.fit_whitening(
        np.concatenate([features, new]),
        np.concatenate([labels, np.full(10, ensemble.UNLABELLED)]),
    )
    np.testing.assert_allclose(whitening.middle, new.mean(axis=0), rtol=1e-5)


def test_whitening_ignores_directions_in_which_its_images_do_not_vary():
    rng = np.random.default_rng(0)
    few = np.zeros((8, 60), np.float32)
    few[:, :20] = rng.normal(size=(8, 20))
    whitening = ensemble.fit_whitening(few, np.repeat([0, 1], 4))
    # Eight images span seven directions around their mean.
    assert whitening.transform.shape == (60, 7)
    other = np.zeros((1, 60), np.float32)
    other[:, 20:] = 100
    np.testing.assert_allclose(whitening(few[:1] + other), whitening(few[:1]), atol=1e-4)


def test_whitening_of_constant_features_is_zero():
    whitening = ensemble.fit_whitening(np.ones((6, 4), np.float32), np.repeat([0, 1], 3))
    np.testing.assert_array_equal(whitening(np.ones((2, 4))), 0)


def test_whitening_makes_the_shrunk_variance_within_classes_one():
    images, labels = small_encoder.training_data(CONFIG)
    masks = baselines.foreground_mask(images)
    whitened = ensemble.fit_whitening(masks, labels)(masks)
    assert whitened.shape == (len(images), ensemble.NUM_COMPONENTS)
    # undo the transform's shrinkage by hand: W + s (mean(W) I - W) becomes the identity
    axes = np.linalg.svd(np.cov(baselines.foreground_mask(images).T))[0][
        :, : ensemble.NUM_COMPONENTS
    ]
    plain = baselines.foreground_mask(images) @ axes
    inside = plain - np.array([plain[labels == c].mean(axis=0) for c in labels])
    within = np.cov(inside.T)
    size, s = ensemble.NUM_COMPONENTS, ensemble.SHRINKAGE
    shrunk = within + s * (np.trace(within) / size * np.eye(size) - within)
    # distances in the whitened space are Mahalanobis distances by the shrunk covariance
    gap = plain[0] - plain[1]
    expected = gap @ np.linalg.solve(shrunk, gap)
    assert np.sum((whitened[0] - whitened[1]) ** 2) == pytest.approx(expected, rel=1e-4)


def test_the_cosine_of_concatenated_embeddings_is_the_mean_of_their_cosines(digits):
    def cosine(embed):
        a, b = embed(digits.images[:2])
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    parts = [baselines.pixels, baselines.foreground_mask]
    assert cosine(ensemble.concatenate(parts)) == pytest.approx(
        np.mean(list(map(cosine, parts))), rel=1e-5
    )


@pytest.mark.parametrize("name", unseen_classes.METHODS)
@pytest.mark.slow
def test_no_method_uses_an_image_or_a_label_of_an_unseen_class(name, monkeypatch, clear_memory):
    dataset = CONFIG.load_data()
    seen = np.isin(dataset.labels, dataset.seen)
    probe = dataset.images[seen][:20]
    before = unseen_classes.embed_by(CONFIG, name)(probe)
    images, labels = dataset.images.copy(), dataset.labels.copy()
    rng = np.random.default_rng(0)
    images[~seen] = rng.integers(0, 256, images[~seen].shape)  # noise in their place,
    labels[~seen] = rng.choice(dataset.unseen, (~seen).sum())  # under other names
    other = replace(dataset, images=images, labels=labels)
    split = dataset.split(CONFIG.seed)
    object.__setattr__(other, "split", lambda _: split)  # it goes by what images are copies
    monkeypatch.setattr(datasets, "load", lambda *_: other)
    clear_memory()
    after = unseen_classes.embed_by(CONFIG, name)(probe)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_the_upper_bound_is_trained_on_other_images_of_all_classes(fashion_mnist):
    config = SmallEncoderConfig(dataset="fashion-mnist", images_per_class=30, all_classes=True)
    images, labels = small_encoder.training_data(config)
    assert np.bincount(labels).tolist() == [30] * 10
    known = {image.tobytes() for image in config.load_data().images}
    assert len(known & {image.tobytes() for image in images}) == 0


def test_a_part_of_the_digits_has_further_images_and_all_digits_have_none():
    assert small_encoder.has_further_images(CONFIG)
    whole = replace(CONFIG, images_per_class=None)
    assert not small_encoder.has_further_images(whole)


def test_training_is_cached_and_repeatable_to_the_bit(monkeypatch, tmp_path):
    result = trainer.train(CONFIG)
    assert len(result.history["loss"]) == small_encoder.NUM_EPOCHS
    assert trainer.train(CONFIG).digest == result.digest
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(tmp_path))
    assert trainer.train(CONFIG).digest == result.digest  # trained again
    assert trainer.train(replace(CONFIG, start=1)).digest != result.digest


def test_softmax_takes_no_synthetic_classes():
    with pytest.raises(ValueError, match="softmax takes no synthetic classes"):
        replace(CONFIG, loss="softmax")
    assert replace(CONFIG, loss="softmax", num_synthetic=0).loss == "softmax"


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="unknown loss"):
        replace(CONFIG, loss="hinge")


def test_a_measurement_depends_on_the_training_images(monkeypatch, clear_memory):
    before = unseen_classes._dependencies(CONFIG, unseen_classes.ENSEMBLE_WITHOUT_NETWORKS)
    images, labels = small_encoder.training_data(CONFIG)
    monkeypatch.setattr(small_encoder, "training_data", lambda _: (images[1:], labels[1:]))
    clear_memory()
    assert unseen_classes._dependencies(CONFIG, unseen_classes.ENSEMBLE_WITHOUT_NETWORKS) != before


def test_features_that_do_not_vary_are_left_out_of_the_ensemble():
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (40, 12, 12, 1), dtype=np.uint8)  # no dark ground: one outline
    labels = np.repeat([0, 1], 20)
    whitenings = ensemble.fit(images, labels, [])
    embeddings = ensemble.embed_with([], whitenings)(images)
    assert np.isfinite(embeddings).all()
    assert (embeddings[:, : whitenings[0].transform.shape[1]] == 0).all()
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1)  # of the gradients alone


def test_the_key_changes_with_each_field():
    changes = {"seed": 1, "start": 1, "num_synthetic": 0, "steps": 20, "seen": (0, 1, 2)}
    changes |= {"loss": "contrastive", "images_per_class": 30, "class_size": 5}
    changes |= {"all_classes": True, "labelled": 3}
    assert {*changes, "dataset", "last_layer_only"} == {
        field.name for field in fields(SmallEncoderConfig)
    }
    configs = [CONFIG, *(replace(CONFIG, **{field: value}) for field, value in changes.items())]
    configs.append(replace(CONFIG, labelled=3, last_layer_only=True))
    assert len({config.key() for config in configs}) == len(configs)
