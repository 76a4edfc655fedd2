from dataclasses import replace

import numpy as np
import pytest

from siamese_utils.evaluation import embeddings, geometry, pair_distances
from siamese_utils.training import encoders, pair_training, trainer, transfer
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.transfer import TransferConfig

SHORT = TrainingConfig(dataset="digits", epochs=2, precision="float32", images_per_class=60)


@pytest.fixture
def dataset():
    """The data set of the short training."""
    return SHORT.load_data()


def test_embeddings_of_a_trained_encoder_are_cached_by_images_and_weights(
    store, dataset, monkeypatch
):
    result = trainer.train(SHORT)
    rows = dataset.split(0).unseen[:7]
    embedded = embeddings.of_trained(result, dataset, rows)
    encoder = trainer.rebuild_encoder(SHORT, result, (28, 28, 1))
    assert np.allclose(embedded, encoder(dataset.images[rows]), atol=1e-4)
    monkeypatch.setattr(trainer, "embed", lambda *_: pytest.fail("embedded again"))
    assert np.array_equal(embeddings.of_trained(result, dataset, rows), embedded)
    with pytest.raises(pytest.fail.Exception, match="again"):
        embeddings.of_trained(result, dataset, rows[::-1])  # in another order they are others
    other = replace(result, weights=[weight + 1 for weight in result.weights])  # of another machine
    with pytest.raises(pytest.fail.Exception, match="again"):
        embeddings.of_trained(other, dataset, rows)


def test_embeddings_before_the_first_step_and_after_each_epoch(store, dataset):
    trainer.train(SHORT, milestones=(1,))
    rows = dataset.split(0).unseen[:5]
    embedded = [embeddings.after_epochs(SHORT, epochs, dataset, rows) for epochs in (0, 1, 2)]
    untrained = pair_training.build_untrained_encoder("base", 0, (28, 28, 1))
    assert np.allclose(embedded[0], untrained(dataset.images[rows]), atol=1e-4)
    assert np.array_equal(embedded[0], embeddings.of_untrained("base", 0, dataset, rows))
    result = trainer.train(replace(SHORT, epochs=1))
    assert np.array_equal(embedded[1], embeddings.of_trained(result, dataset, rows))
    assert not np.allclose(embedded[1], embedded[2])
    other = embeddings.after_epochs(replace(SHORT, seed=1), 0, dataset, rows)
    assert not np.allclose(embedded[0], other)


def test_the_digit_encoder_embeds_other_images(store, short_pretraining, dataset, monkeypatch):
    embedded = embeddings.of_digit_encoder(0, dataset, np.arange(3))
    assert embedded.shape == (3, 256)
    # by the weights of the pretraining of its seed, and without scaling to length 1
    encoder = encoders.digit_encoder()
    encoder.set_weights(trainer.train(TransferConfig().pretraining).weights)
    expected = np.asarray(encoder(transfer.resize(dataset.images[:3])))
    assert np.allclose(embedded, expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(np.linalg.norm(embedded, axis=1), 1, atol=0.1)
    # which are the directions of an encoder that a transfer starts from
    scaled = transfer.build_encoder(TransferConfig())(transfer.resize(dataset.images[:3]))
    lengths = np.linalg.norm(embedded, axis=1, keepdims=True)
    assert np.allclose(embedded / lengths, scaled, atol=1e-4)
    monkeypatch.setattr(trainer, "embed", lambda *_: pytest.fail("embedded again"))
    assert np.array_equal(embeddings.of_digit_encoder(0, dataset, np.arange(3)), embedded)


def test_the_first_images_of_each_class_are_chosen_seen_classes_first(digits):
    rows = digits.split(0).all
    chosen = embeddings.first_of_each_class(digits, rows, 3)
    expected = np.repeat([*digits.seen, *digits.unseen], 3)
    assert digits.labels[chosen].tolist() == expected.tolist()
    assert set(chosen) <= set(rows)
    assert chosen[:3].tolist() == [i for i in rows if digits.labels[i] == digits.seen[0]][:3]


@pytest.mark.slow
def test_the_collapse_is_described_for_each_set_and_epoch(store, dataset):
    table = embeddings.collapse(SHORT, 1, (0, 2), dataset, number=6)
    assert table.index.tolist() == [(s, n) for s in ("seen", "unseen") for n in (0, 2)]
    rows = embeddings.first_of_each_class(dataset, dataset.split(0).all, 6)
    unseen = rows[np.isin(dataset.labels[rows], dataset.unseen)]
    encoder = trainer.rebuild_encoder(SHORT, trainer.train(SHORT), (28, 28, 1))
    embedded = trainer.embed(encoder, dataset.images[unseen])
    expected = geometry.describe(embedded, dataset.labels[unseen])
    measured = table.loc[("unseen", 2)]
    assert {name: of.values[0] for name, of in measured.items()} == pytest.approx(
        expected, rel=1e-3
    )


def test_typical_pairs_have_the_median_distance_of_their_kind(store, dataset):
    result = trainer.train(SHORT)
    pairs = embeddings.typical_pairs(result, dataset)
    [measured] = pair_distances.of_trained([result])
    distance, different = measured.labelled_distances("seen")
    assert list(pairs) == ["same", "different"]
    for kind, of_kind in (("same", ~different), ("different", different)):
        pair = pairs[kind]
        a, b = dataset.labels[pair["rows"]]
        assert (a != b) == (kind == "different")
        assert abs(np.mean(distance[of_kind] < pair["distance"]) - 0.5) < 0.1
        gap = np.subtract(*pair["embeddings"])
        assert np.linalg.norm(gap) == pytest.approx(pair["distance"], abs=0.02)
