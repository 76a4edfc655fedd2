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
    changes |= {"contrast": 0.5, "source": "fashion-mnist"}
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


@pytest.mark.parametrize("mistake", [{"start": "pretraind"}, {"task": "contrastiv"}])
def test_a_mistyped_config_is_refused(mistake):
    with pytest.raises(ValueError, match="choose one of"):
        TransferConfig(**mistake)
