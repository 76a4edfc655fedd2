from dataclasses import replace

import numpy as np
import pytest

from siamese_utils.data import pairs
from siamese_utils.training import cache as keep
from siamese_utils.training import encoders, losses, trainer, transfer
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

FEW = TransferConfig(num_pairs=6, start="scratch", epochs=2)


def test_digits_are_scaled_and_large():
    images, labels = transfer.load_digits()
    assert images.shape == (1797, 32, 32, 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).min() > 170


def test_other_images_take_the_encoders_form():
    images = np.full((3, 28, 28, 1), 255, dtype=np.uint8)
    found = transfer.resize(images)
    assert found.shape == (3, 32, 32, 1)
    assert np.allclose(found, 1)


def test_pretraining_learns_digits_and_is_kept(store, monkeypatch):
    run = trainer.train(PretrainingConfig(epochs=2))
    assert run.record["held_out"] > 0.8
    assert run.key == PretrainingConfig(epochs=2).key()
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    assert trainer.train(PretrainingConfig(epochs=2)).record == run.record
    encoder = encoders.digit_encoder()
    encoder.set_weights(run.weights)
    assert encoder.output_shape == (None, 256)
    # a transfer begins with the pretraining of its seed: as if this were the one
    key = PretrainingConfig().key()
    keep.save(replace(run, record=run.record | {"key": key}))
    begun = transfer.build_encoder(TransferConfig()).get_weights()
    assert all(map(np.array_equal, begun, run.weights))
    fresh = transfer.build_encoder(FEW).get_weights()
    assert not np.array_equal(fresh[0], run.weights[0])


@pytest.mark.parametrize("task", ["contrastive", "triplet"])
def test_a_transfer_does_not_depend_on_those_before_it(store, task):
    plan = replace(FEW, task=task)
    first = trainer.train(plan)
    trainer.train(replace(plan, seed=1))
    # nor on one that left nothing but what is no number
    with pytest.raises(trainer.TrainingDivergedError):
        trainer.train(replace(plan, learning_rate=1e30))
    for path in store.iterdir():
        path.unlink()
    again = trainer.train(plan)
    assert first.history == again.history
    assert np.array_equal(first.distances["test"], again.distances["test"])


@pytest.mark.parametrize("task", ["contrastive", "triplet"])
@pytest.mark.fault("a learning rate of 1e30 in a transfer", "an error; nothing is stored")
def test_a_transfer_that_diverges_raises_and_stores_nothing(store, task):
    with pytest.raises(trainer.TrainingDivergedError, match="number"):
        trainer.train(replace(FEW, task=task, learning_rate=1e30))
    assert not store.exists() or not list(store.iterdir())


def test_a_transfer_is_kept(store, monkeypatch):
    run = trainer.train(FEW)
    assert set(run.distances) == {"validation", "test"}
    assert run.weights == []
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    again = trainer.train(FEW)
    assert again.record == run.record
    assert np.array_equal(again.distances["test"], run.distances["test"])


def test_every_field_names_a_step(fashion_mnist):
    changes = {"num_pairs": 7, "start": "pretrained", "task": "triplet", "seed": 1}
    changes |= {"epochs": 3, "batch": 4, "learning_rate": 0.5, "margin": 2.0}
    changes |= {"contrast": 0.5, "source": "fashion-mnist"}
    assert set(changes) == set(vars(FEW))
    steps = [FEW, *(replace(FEW, **{field: value}) for field, value in changes.items())]
    steps += [
        PretrainingConfig(),
        PretrainingConfig(1),
        PretrainingConfig(epochs=2),
        PretrainingConfig(batch_size=64),
    ]
    steps += [PretrainingConfig(source="fashion-mnist")]
    assert len({step.key() for step in steps}) == len(steps)


def test_a_transfer_starts_where_it_should(store):
    still = trainer.train(replace(FEW, learning_rate=1e-12))
    untouched = transfer.measure_distances(transfer.build_encoder(FEW), FEW)
    assert set(untouched) == {"validation", "test"}
    assert np.allclose(still.distances["test"], untouched["test"], rtol=1e-3)


def test_distances_are_those_of_the_networks():
    encoder = transfer.build_encoder(FEW)
    images, _, drawn = transfer.sample_pairs(FEW, "validation")
    embeddings = np.asarray(encoder(images))
    expected = losses.euclidean_distance(embeddings[drawn.first], embeddings[drawn.second])
    assert np.allclose(pairs.distances(embeddings, drawn), expected, rtol=1e-5)
    found = transfer.measure_distances(encoder, FEW)["validation"]
    assert np.allclose(found, expected, rtol=1e-3)


def test_sets_of_a_seed_share_no_image():
    drawn = [transfer.sample_pairs(FEW, name)[0] for name in ("train", "validation", "test")]
    images = np.concatenate(drawn).reshape(-1, 32 * 32)
    assert len(images) == 2 * (6 + transfer.VALIDATION_PAIRS + transfer.TEST_PAIRS)
    assert len(np.unique(images, axis=0)) == len(images)


@pytest.mark.parametrize("mistake", [{"start": "pretraind"}, {"task": "contrastiv"}])
def test_a_mistyped_plan_is_refused(mistake):
    with pytest.raises(ValueError, match="choose one of"):
        TransferConfig(**mistake)
