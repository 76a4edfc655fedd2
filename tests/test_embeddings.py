from dataclasses import replace

import numpy as np
import pytest

from siamese_utils.evaluation import embeddings, geometry, pair_distances
from siamese_utils.training import pair_training, trainer, transfer
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=2, precision="float32", images_per_class=60)


@pytest.fixture
def part():
    """The data set of the short training."""
    return SHORT.load_data()


def test_chosen_images_have_the_embeddings_of_their_encoder(store, part, monkeypatch):
    run = trainer.train(SHORT)
    rows = part.split(0).unseen[:7]
    found = embeddings.of_trained(run, part, rows)
    encoder = trainer.rebuild_encoder(run, (28, 28, 1))
    assert np.allclose(found, encoder(part.images[rows]), atol=1e-4)
    monkeypatch.setattr(trainer, "embed", lambda *_: pytest.fail("embedded again"))
    assert np.array_equal(embeddings.of_trained(run, part, rows), found)
    with pytest.raises(pytest.fail.Exception, match="again"):
        embeddings.of_trained(run, part, rows[::-1])  # in another order they are others
    other = replace(run, weights=[weight + 1 for weight in run.weights])  # of another machine
    with pytest.raises(pytest.fail.Exception, match="again"):
        embeddings.of_trained(other, part, rows)


def test_before_the_first_step_and_after_each_epoch(store, part):
    trainer.train(SHORT, milestones=(1,))
    rows = part.split(0).unseen[:5]
    clouds = [embeddings.after_epochs(SHORT, epochs, part, rows) for epochs in (0, 1, 2)]
    begun = pair_training.build_untrained_encoder("base", 0, (28, 28, 1))
    assert np.allclose(clouds[0], begun(part.images[rows]), atol=1e-4)
    assert np.array_equal(clouds[0], embeddings.of_untrained("base", 0, part, rows))
    run = trainer.train(replace(SHORT, epochs=1))
    assert np.array_equal(clouds[1], embeddings.of_trained(run, part, rows))
    assert not np.allclose(clouds[1], clouds[2])
    other = embeddings.after_epochs(replace(SHORT, seed=1), 0, part, rows)
    assert not np.allclose(clouds[0], other)


def test_the_second_studys_encoder_takes_other_images(store, short_pretraining, part, monkeypatch):
    begun = transfer.build_encoder(transfer.Transfer(start="scratch"))
    monkeypatch.setattr(transfer, "build_encoder", lambda *_: begun)
    found = embeddings.of_digit_encoder(0, part, np.arange(3))
    assert found.shape == (3, 256)
    assert np.allclose(found, begun(transfer.resize(part.images[:3])), atol=1e-4)


def test_so_many_rows_of_each_class_are_picked_seen_classes_first(digits):
    rows = digits.split(0).all
    found = embeddings.first_of_each_class(digits, rows, 3)
    expected = np.repeat([*digits.seen, *digits.unseen], 3)
    assert digits.labels[found].tolist() == expected.tolist()
    assert set(found) <= set(rows)
    assert found[:3].tolist() == [i for i in rows if digits.labels[i] == digits.seen[0]][:3]


def test_the_collapse_is_described_set_by_set_and_epoch_by_epoch(store, part):
    found = embeddings.collapse(SHORT, 1, (0, 2), part, number=6)
    assert found.index.tolist() == [(s, n) for s in ("seen", "unseen") for n in (0, 2)]
    rows = embeddings.first_of_each_class(part, part.split(0).all, 6)
    inside = rows[np.isin(part.labels[rows], part.unseen)]
    cloud = trainer.embed(
        trainer.rebuild_encoder(trainer.train(SHORT), (28, 28, 1)), part.images[inside]
    )
    expected = geometry.describe(cloud, part.labels[inside])
    measured = found.loc[("unseen", 2)]
    assert {name: of.whole[0] for name, of in measured.items()} == pytest.approx(expected, rel=1e-3)


def test_typical_pairs_have_the_median_distance_of_their_kind(store, part):
    run = trainer.train(SHORT)
    found = embeddings.typical_pairs(run, part)
    [measured] = pair_distances.of_trained([run])
    distance, different = measured.labelled_distances("seen")
    assert list(found) == ["same", "different"]
    for kind, of_kind in (("same", ~different), ("different", different)):
        told = found[kind]
        a, b = part.labels[told["rows"]]
        assert (a != b) == (kind == "different")
        assert abs(np.mean(distance[of_kind] < told["distance"]) - 0.5) < 0.1
        gap = np.subtract(*told["embeddings"])
        assert np.linalg.norm(gap) == pytest.approx(told["distance"], abs=0.02)
