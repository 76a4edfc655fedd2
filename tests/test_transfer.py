from dataclasses import replace

import numpy as np
import pytest
from siamese_utils.transfer import Pretraining, Transfer

from siamese_utils import transfer

FEW = Transfer(num_pairs=6, start="scratch", epochs=2)


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
    run = transfer.pretrain(Pretraining(epochs=2))
    assert run.record["held_out"] > 0.9
    monkeypatch.setattr(transfer, "_fit", lambda *_: pytest.fail("trained again"))
    assert transfer.pretrain(Pretraining(epochs=2)).record == run.record
    assert transfer.rebuild_encoder(run.weights).output_shape == (None, 256)


@pytest.mark.parametrize("objective", ["contrastive", "triplet"])
def test_a_transfer_does_not_depend_on_those_before_it(store, objective):
    plan = replace(FEW, objective=objective)
    first = transfer.fine_tune(plan)
    transfer.fine_tune(replace(plan, seed=1))
    for path in store.iterdir():
        path.unlink()
    again = transfer.fine_tune(plan)
    assert first.history == again.history
    assert np.array_equal(first.distances["test"], again.distances["test"])


def test_a_transfer_starts_where_it_should(store):
    still = transfer.fine_tune(replace(FEW, learning_rate=1e-12))
    untouched = transfer.distances_without_pairs(0)["untrained encoder"]
    assert np.allclose(still.distances["test"], untouched["test"], rtol=1e-3)


def test_sets_of_a_seed_share_no_image():
    drawn = [transfer.draw_pairs(FEW, name)[0] for name in ("train", "validation", "test")]
    images = np.concatenate(drawn).reshape(-1, 32 * 32)
    assert len(images) == 2 * (6 + transfer.VALIDATION_PAIRS + transfer.TEST_PAIRS)
    assert len(np.unique(images, axis=0)) == len(images)


def test_distances_are_judged_with_a_threshold_from_validation():
    sets = ("validation", "test")
    different = {name: transfer.draw_pairs(FEW, name)[2].different for name in sets}
    # right order, but in another scale: only a tuned threshold can tell
    found = transfer.judge({name: 7 + 2 * y for name, y in different.items()}, seed=0)
    assert found == {"accuracy, 0.5": 50, "accuracy, tuned": 100, "AUC": 1}


@pytest.mark.parametrize("mistake", [{"start": "pretraind"}, {"objective": "contrastiv"}])
def test_a_mistyped_plan_is_refused(mistake):
    with pytest.raises(ValueError, match="choose one of"):
        Transfer(**mistake)
