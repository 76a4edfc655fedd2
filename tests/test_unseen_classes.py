"""What is fitted on seen classes and asked about others: it never meets these before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from skimage.feature import hog
from sklearn.metrics import roc_auc_score

from siamese_utils.data import datasets
from siamese_utils.evaluation import baselines, ensemble, unseen_classes
from siamese_utils.reporting import plot_data
from siamese_utils.training import small_encoder, study_plan, trainer
from siamese_utils.training.small_encoder import SmallEncoderConfig

STEP = SmallEncoderConfig(dataset="digits", images_per_class=40, num_synthetic=2, size=4, steps=10)


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIAMESE_CACHE_DIR", str(tmp_path_factory.mktemp("store")))
        yield


def test_gradients_are_those_of_scikit_image(digits):
    found = ensemble.hog_features(digits.images[:3])
    wanted = hog(digits.images[2, ..., 0], 9, (4, 4), (2, 2))
    np.testing.assert_allclose(found[2], wanted, rtol=1e-5)


def test_centring_subtracts_the_mean_of_the_class_means():
    images, labels = small_encoder.training_data(STEP)
    means = [baselines.pixels(images[labels == c]).mean(axis=0) for c in np.unique(labels)]
    found = unseen_classes.mean_subtracted(baselines.pixels, images, labels)(images[:2])
    np.testing.assert_allclose(found, baselines.pixels(images[:2]) - np.mean(means, axis=0))


def test_whitening_makes_the_shrunk_variance_within_classes_one():
    images, labels = small_encoder.training_data(STEP)
    found = ensemble.whiten(baselines.foreground_mask, images, labels)(images)
    assert found.shape == (len(images), ensemble.NUM_COMPONENTS)
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
    wanted = gap @ np.linalg.solve(shrunk, gap)
    assert np.sum((found[0] - found[1]) ** 2) == pytest.approx(wanted, rel=1e-4)


def test_the_cosine_of_joined_embeddings_is_the_mean_of_theirs(digits):
    def cosine(embed):
        a, b = embed(digits.images[:2])
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    parts = [baselines.pixels, baselines.foreground_mask]
    assert cosine(ensemble.concatenate(parts)) == pytest.approx(
        np.mean(list(map(cosine, parts))), rel=1e-5
    )


WAYS = unseen_classes.METHODS | unseen_classes.ABLATED_METHODS


@pytest.mark.parametrize("name", [name for name in WAYS if name != unseen_classes.UPPER_BOUND])
def test_no_way_meets_an_image_or_a_label_of_an_unseen_class(name, monkeypatch):
    dataset = STEP.load_data()
    seen = np.isin(dataset.labels, dataset.seen)
    probe = dataset.images[seen][:20]
    before = unseen_classes.embed_by(STEP, name)(probe)
    images, labels = dataset.images.copy(), dataset.labels.copy()
    rng = np.random.default_rng(0)
    images[~seen] = rng.integers(0, 256, images[~seen].shape)  # noise in their place,
    labels[~seen] = rng.choice(dataset.unseen, (~seen).sum())  # under other names
    other = replace(dataset, images=images, labels=labels)
    split = dataset.split(STEP.seed)
    object.__setattr__(other, "split", lambda _: split)  # it goes by what images are copies
    monkeypatch.setattr(datasets, "load", lambda *_: other)
    after = unseen_classes.embed_by(STEP, name)(probe)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_a_way_is_measured_on_all_pairs_of_unseen_classes():
    found = unseen_classes.outcomes([STEP], ["raw pixels"])
    [row] = found.to_dict("records")
    dataset = STEP.load_data()
    assert row["split"] == ", ".join(dataset.names_of(dataset.unseen))
    rows = np.flatnonzero(np.isin(dataset.labels, dataset.unseen))
    unit = baselines.to_unit_length(baselines.pixels)(dataset.images[rows])
    first, second = np.triu_indices(len(rows), 1)
    different = dataset.labels[rows][first] != dataset.labels[rows][second]
    # each class, and each two, weigh the same: here they are all of one size
    area = roc_auc_score(different, -np.sum(unit[first] * unit[second], axis=1))
    assert row["AUC, unseen"] == pytest.approx(area, abs=1e-3)
    assert row["accuracy, unseen"] <= row["oracle accuracy, unseen"] + 1e-9


@pytest.fixture
def found():
    """The outcomes of three ways on two splits."""
    areas = {
        "a": [0.6, 0.9],
        unseen_classes.ENSEMBLE: [0.8, 0.7],
        unseen_classes.UPPER_BOUND: [0.95, 0.99],
    }
    return pd.DataFrame(
        {"split": f"split {i}", "way": way, "AUC, unseen": area}
        for way, of_way in areas.items()
        for i, area in enumerate(of_way)
    )


def test_ways_are_compared_split_by_split(found):
    means = unseen_classes.by_method(found)["AUC, unseen"]
    assert means["a"].interval.mean == pytest.approx(0.75)
    assert list(means.index) == ["a", unseen_classes.ENSEMBLE, unseen_classes.UPPER_BOUND]
    gains = unseen_classes.auc_differences(found)
    assert gains["splits ahead"].to_dict() == {"a": 1, unseen_classes.UPPER_BOUND: 0}
    np.testing.assert_allclose(gains.loc["a", "recipe minus it"].whole, [0.2, -0.2])


def test_the_price_of_not_knowing_leaves_the_ceiling_out(found):
    price, best = unseen_classes.loss_against_best(found)
    np.testing.assert_allclose(price.whole, [0.0, 0.2])
    assert best in ("a", unseen_classes.ENSEMBLE)


def test_splits_as_points_stand_in_the_order_of_the_last_way(found):
    points = plot_data.single_values(unseen_classes.by_split(found), ("a", unseen_classes.ENSEMBLE))
    assert points["series"].tolist() == ["split 0", "split 1"] * 2
    assert points["x"].tolist() == [0.6, 0.9, 0.8, 0.7]


def test_every_class_is_learned_from_other_images(fashion_mnist):
    step = SmallEncoderConfig(dataset="fashion-mnist", images_per_class=30, all_classes=True)
    images, labels = small_encoder.training_data(step)
    assert np.bincount(labels).tolist() == [30] * 10
    known = {image.tobytes() for image in step.load_data().images}
    assert len(known & {image.tobytes() for image in images}) == 0


def test_the_small_digits_have_further_images_and_all_of_them_have_none():
    assert small_encoder.has_further_images(STEP)
    assert not small_encoder.has_further_images(replace(STEP, images_per_class=None))


def test_a_training_is_kept_and_the_same_to_the_bit(monkeypatch, tmp_path):
    run = trainer.train(STEP)
    assert len(run.history["loss"]) == small_encoder.NUM_EPOCHS
    assert trainer.train(STEP).digest == run.digest
    monkeypatch.setenv("SIAMESE_CACHE_DIR", str(tmp_path))
    assert trainer.train(STEP).digest == run.digest  # trained again
    assert trainer.train(replace(STEP, start=1)).digest != run.digest


@pytest.mark.parametrize("loss", small_encoder.LOSSES_WITHOUT_SYNTHETIC)
def test_a_loss_that_knows_no_new_classes_is_given_none(loss):
    with pytest.raises(ValueError, match=f"{loss} knows no new classes"):
        replace(STEP, loss=loss)
    with pytest.raises(ValueError, match="unknown loss"):
        replace(STEP, loss="hinge")


def test_every_way_rests_on_trainings_that_the_plan_knows():
    plan = study_plan.make_plan("quick", "digits")
    planned = set(plan.steps("11"))
    for splits, ways in (
        (plan.class_splits()["drawn"], unseen_classes.METHODS),
        (plan.ablation_splits(), unseen_classes.ABLATED_METHODS),
    ):
        for split in splits:
            for name, way in ways.items():
                if name != unseen_classes.UPPER_BOUND or small_encoder.has_further_images(split):
                    assert set(way.trainings(split)) <= planned, name


def test_other_images_name_another_measurement(monkeypatch):
    before = unseen_classes._dependencies(STEP, "raw pixels")
    images, labels = small_encoder.training_data(STEP)
    monkeypatch.setattr(small_encoder, "training_data", lambda _: (images[1:], labels[1:]))
    small_encoder._digest.cache_clear()
    assert unseen_classes._dependencies(STEP, "raw pixels") != before
    small_encoder._digest.cache_clear()


def test_what_does_not_vary_is_left_out_of_the_recipe():
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (40, 12, 12, 1), dtype=np.uint8)  # no dark ground: one outline
    labels = np.repeat([0, 1], 20)
    whitenings = ensemble.fit(images, labels, [])
    found = ensemble.embed_with([], whitenings)(images)
    assert np.isfinite(found).all()
    assert (found[:, : whitenings[0].transform.shape[1]] == 0).all()
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)  # of the gradients alone


def test_what_shapes_a_training_is_in_its_key():
    changes = [{"seed": 1}, {"start": 1}, {"made_up": 0}, {"steps": 20}, {"seen": (0, 1, 2)}]
    changes += [{"turned": 2}, {"loss": "triplet"}, {"near_start": 0.5}, {"reconstruction": 1.0}]
    changes += [{"images_per_class": 30}, {"size": 5}]
    keys = {small_encoder.key_of(replace(STEP, **change)) for change in [{}, *changes]}
    assert len(keys) == 1 + len(changes)
