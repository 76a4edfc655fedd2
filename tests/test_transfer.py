from dataclasses import replace

import numpy as np
import pytest

from siamese_utils.data import pairs
from siamese_utils.training import cache, encoders, losses, trainer, transfer
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

FEW = TransferConfig(num_pairs=6, start="scratch", epochs=2)


def test_digits_are_enlarged_and_scaled_to_0_to_1():
    images, labels = transfer.load_digits()
    assert images.shape == (1797, 32, 32, 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).min() > 170


def test_other_images_are_resized_to_the_form_that_the_encoder_takes():
    images = np.full((3, 28, 28, 1), 255, dtype=np.uint8)
    resized = transfer.resize(images)
    assert resized.shape == (3, 32, 32, 1)
    assert np.allclose(resized, 1)


@pytest.mark.slow
def test_pretraining_learns_digits_and_its_result_is_cached(store, monkeypatch):
    result = trainer.train(PretrainingConfig(epochs=2))
    assert result.record["held_out"] > 0.8
    assert result.key == PretrainingConfig(epochs=2).key()
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    assert trainer.train(PretrainingConfig(epochs=2)).record == result.record
    encoder = encoders.digit_encoder()
    encoder.set_weights(result.weights)
    assert encoder.output_shape == (None, 256)
    # a transfer begins with the pretraining of its seed: as if this were the one
    key = PretrainingConfig().key()
    cache.save(replace(result, record=result.record | {"key": key}))
    pretrained = transfer.build_encoder(TransferConfig()).get_weights()
    assert all(map(np.array_equal, pretrained, result.weights))
    fresh = transfer.build_encoder(FEW).get_weights()
    assert not np.array_equal(fresh[0], result.weights[0])


@pytest.mark.parametrize("task", transfer.TRANSFER_TASKS)
@pytest.mark.slow
def test_a_transfer_does_not_depend_on_those_before_it(store, task):
    config = replace(FEW, task=task)
    first = trainer.train(config)
    trainer.train(replace(config, seed=1))
    # nor on one that left values that are not finite
    with pytest.raises(trainer.TrainingDivergedError):
        trainer.train(replace(config, learning_rate=1e30))
    for path in store.iterdir():
        path.unlink()
    again = trainer.train(config)
    assert first.history == again.history
    assert np.array_equal(first.distances["test"], again.distances["test"])


@pytest.mark.parametrize("task", transfer.TRANSFER_TASKS)
@pytest.mark.fault("a learning rate of 1e30 in a transfer", "an error; nothing is stored")
def test_a_transfer_that_diverges_raises_an_error_and_stores_nothing(store, task):
    with pytest.raises(trainer.TrainingDivergedError, match="not finite"):
        trainer.train(replace(FEW, task=task, learning_rate=1e30))
    assert not store.exists() or not list(store.iterdir())


def test_the_result_of_a_transfer_is_cached_without_weights(store, monkeypatch):
    result = trainer.train(FEW)
    assert set(result.distances) == {"validation", "test"}
    assert result.weights == []
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    cached = trainer.train(FEW)
    assert cached.record == result.record
    assert np.array_equal(cached.distances["test"], result.distances["test"])


def test_the_key_changes_with_each_field(fashion_mnist):
    changes = {"num_pairs": 7, "start": "pretrained", "task": "triplet", "seed": 1}
    changes |= {"epochs": 3, "batch_size": 4, "learning_rate": 0.5, "margin": 2.0}
    changes |= {"source": "fashion-mnist"}
    assert set(changes) == set(vars(FEW))
    configs = [FEW, *(replace(FEW, **{field: value}) for field, value in changes.items())]
    changes = {"seed": 1, "epochs": 2, "batch_size": 64, "source": "fashion-mnist"}
    assert set(changes) == set(vars(PretrainingConfig()))
    configs.append(PretrainingConfig())
    configs += [PretrainingConfig(**{field: value}) for field, value in changes.items()]
    assert len({config.key() for config in configs}) == len(configs)


def test_a_pretrained_transfer_requires_the_pretraining_of_its_seed_and_source():
    assert FEW.requires == ()
    pretrained = TransferConfig(seed=3, source="fashion-mnist")
    assert pretrained.requires == (PretrainingConfig(3, source="fashion-mnist"),)


def test_a_label_names_the_pairs_the_start_the_loss_and_the_seed():
    assert FEW.initialisation == "from scratch"
    assert FEW.label == "6 pairs, from scratch, contrastive, seed 0"
    pretrained = TransferConfig(task="triplet", seed=2, source="fashion-mnist")
    assert pretrained.initialisation == "pretrained on fashion-mnist"
    assert pretrained.label == "50 pairs, pretrained on fashion-mnist, triplet, seed 2"
    # nothing can be told from the source of an encoder that is not pretrained
    assert replace(FEW, source="fashion-mnist").initialisation == FEW.initialisation


def test_embeddings_of_a_transfer_have_length_1_and_the_direction_of_the_unscaled_ones():
    scaled = transfer.build_fresh_encoder(3)
    plain = transfer.build_fresh_encoder(3, normalise=False)
    assert all(map(np.array_equal, scaled.get_weights(), plain.get_weights()))
    images, _, sampled = transfer.sample_pairs(FEW, "validation")
    embedded, unscaled = (np.asarray(encoder(images)) for encoder in (scaled, plain))
    assert np.allclose(np.sqrt(np.sum(embedded**2, axis=1)), 1, atol=1e-5)
    lengths = np.sqrt(np.sum(unscaled**2, axis=1))
    assert np.allclose(embedded * lengths[:, np.newaxis], unscaled, rtol=1e-3, atol=1e-5)
    assert not np.allclose(lengths, 1, atol=0.1)
    # ReLU leaves no negative value, so that no angle is beyond 90 degrees: 1 + 1 - 0 = 2
    assert pairs.distances(embedded, sampled).max() <= 2**0.5
    for encoder in (transfer.build_encoder(FEW), FEW.build_encoder((32, 32, 1))):
        assert np.allclose(np.linalg.norm(encoder(images[:5]), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("task", transfer.TRANSFER_TASKS)
def test_the_network_that_is_trained_scales_its_embeddings_to_length_1(task, monkeypatch, store):
    lengths = []

    def measure(encoder, config):
        images = transfer.sample_pairs(config, "validation")[0]
        lengths.append(np.linalg.norm(encoder(images), axis=1))
        return {}

    monkeypatch.setattr(transfer, "measure_distances", measure)
    trainer.train(replace(FEW, task=task, epochs=1))
    [of_encoder] = lengths
    assert np.allclose(of_encoder, 1, atol=1e-5)


def test_a_source_of_clothes_has_three_hundred_images_of_each_class(fashion_mnist):
    images, labels = transfer.load_source("fashion-mnist")
    assert images.shape == (3000, 32, 32, 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [300] * 10
    assert transfer.load_source("digits")[0].shape == (1797, 32, 32, 1)


def test_a_transfer_starts_from_the_weights_of_its_initial_encoder(store):
    hardly_trained = trainer.train(replace(FEW, learning_rate=1e-12))
    untrained = transfer.measure_distances(transfer.build_encoder(FEW), FEW)
    assert set(untrained) == {"validation", "test"}
    assert np.allclose(hardly_trained.distances["test"], untrained["test"], rtol=1e-3)


def test_distances_are_those_that_the_networks_compute():
    encoder = transfer.build_encoder(FEW)
    images, _, sampled = transfer.sample_pairs(FEW, "validation")
    embeddings = np.asarray(encoder(images))
    expected = losses.euclidean_distance(embeddings[sampled.first], embeddings[sampled.second])
    assert np.allclose(pairs.distances(embeddings, sampled), expected, rtol=1e-5)
    measured = transfer.measure_distances(encoder, FEW)["validation"]
    assert np.allclose(measured, expected, rtol=1e-3)


def test_the_sets_of_a_seed_share_no_image():
    sampled = [transfer.sample_pairs(FEW, name)[0] for name in ("train", "validation", "test")]
    images = np.concatenate(sampled).reshape(-1, 32 * 32)
    assert len(images) == 2 * (6 + transfer.VALIDATION_PAIRS + transfer.TEST_PAIRS)
    assert len(np.unique(images, axis=0)) == len(images)


def test_validation_and_test_pairs_depend_on_the_seed_alone():
    other = replace(FEW, num_pairs=9, start="pretrained", task="triplet", margin=2.0)
    for name in ("validation", "test"):
        images = [
            transfer.sample_pairs(config, name)[0] for config in (FEW, other, replace(FEW, seed=1))
        ]
        assert np.array_equal(images[0], images[1])
        assert not np.array_equal(images[0], images[2])


@pytest.mark.parametrize(
    "mistake", [{"start": "pretraind"}, {"task": "contrastiv"}, {"source": "clothes"}]
)
def test_a_mistyped_config_is_refused(mistake):
    with pytest.raises(ValueError, match="choose one of"):
        TransferConfig(**mistake)
