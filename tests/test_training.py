import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from siamese_utils.training import Experiment

from siamese_utils import data, evaluation, runs, training

SHORT = Experiment(dataset="digits", epochs=2, precision="float32")


def test_training_learns_and_is_kept(store, digits):
    run = training.train(SHORT)
    assert run.history["contrastive"][-1] < run.history["contrastive"][0]
    assert set(run.distances) == {"train", "validation", "seen", "all", "unseen"}
    assert run.record["parameters"] == 1_215_104
    drawn = training.draw_test_pairs(digits, data.split(digits, 0), 0)["seen"]
    assert evaluation.roc_auc(run.distances["seen"], drawn.different) > 0.9
    encoder = training.rebuild_encoder(run, (28, 28, 1))
    embeddings = training.embed(encoder, digits.images)
    gap = np.sqrt(((embeddings[drawn.first] - embeddings[drawn.second]) ** 2).sum(axis=1))
    assert np.allclose(gap, run.distances["seen"], atol=1e-3)
    assert len(list(store.iterdir())) == 1


def test_no_training_is_done_twice(store, monkeypatch):
    first = training.train(SHORT)
    monkeypatch.setattr(training, "fit_encoder", lambda *_: pytest.fail("trained again"))
    second = training.train(SHORT)
    assert second.record == first.record
    assert all(map(np.array_equal, first.weights, second.weights))


def test_the_same_seed_gives_the_same_weights_in_another_process(store):
    run = training.train(replace(SHORT, model="complex"))
    program = (
        "import sys, hashlib; from siamese_utils import training; "
        "from siamese_utils.training import Experiment; "
        "run = training.train(Experiment(dataset='digits', epochs=2, precision='float32', model='complex')); "
        "print(hashlib.sha256(b''.join(w.tobytes() for w in run.weights)).hexdigest())"
    )
    environment = {**os.environ, "SIAMESE_STORE_DIR": str(store / "other")}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    ours = hashlib.sha256(b"".join(weight.tobytes() for weight in run.weights)).hexdigest()
    assert told.split()[-1] == ours


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"margin": 2.0},
        {"model": "complex"},
        {"pairs": "anew"},
        {"images_per_class": 50},
        {"objective": "softmax"},
        {"seen": (0, 1, 2)},
    ],
)
def test_another_experiment_is_another_training(store, change):
    settled = [training._settle(e) for e in (SHORT, replace(SHORT, **change))]
    loaded = [training.load_data(e) for e in settled]
    keys = {
        training._make_key(e, d, data.split(d, e.seed))
        for e, d in zip(settled, loaded, strict=True)
    }
    assert len(keys) == 2


def test_pairs_drawn_once_come_again_and_drawn_anew_do_not(digits):
    split = data.split(digits, 0)
    for mode, again in (("once", True), ("anew", False)):
        epochs = training._draw_epochs(replace(SHORT, pairs=mode), digits, split)
        half = len(epochs) // 2
        first, second = (
            set(map(bytes, epochs.images[part])) for part in (slice(half), slice(half, None))
        )
        assert (first == second) == again
        assert not np.array_equal(epochs.images[:half], epochs.images[half:])


def test_a_loss_that_is_no_number_raises_and_stores_nothing(store):
    with pytest.raises(training.TrainingDivergedError, match="no number"):
        training.train(replace(SHORT, margin=1e30))  # its square is infinite
    assert not store.exists() or not list(store.iterdir())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "vgg"),
        ("optimizer", "lion"),
        ("pairs", "twice"),
        ("margin", 0.0),
        ("epochs", 0),
        ("precision", "float16"),
        ("margin", float("nan")),
    ],
)
def test_what_cannot_be_trained_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        Experiment(**{field: value})


def test_a_long_training_passes_through_the_shorter_ones(store):
    training.train(replace(SHORT, epochs=3, model="complex"), milestones=(1, 2, 7))
    assert len(list(store.iterdir())) == 3
    on_the_way = training.train(replace(SHORT, model="complex"))
    assert len(list(store.iterdir())) == 3
    assert len(on_the_way.history["loss"]) == on_the_way.record["experiment"]["epochs"] == 2
    for path in store.iterdir():
        path.unlink()
    by_itself = training.train(replace(SHORT, model="complex"))
    assert by_itself.history == on_the_way.history
    assert all(map(np.array_equal, by_itself.weights, on_the_way.weights))


def test_a_classifier_is_trained_on_the_seen_classes(store, digits):
    run = training.train(replace(SHORT, objective="softmax", epochs=4))
    assert run.history["val_accuracy"][-1] > 0.9
    assert run.record["parameters"] == 1_215_104  # without the softmax layer
    drawn = training.draw_test_pairs(digits, data.split(digits, 0), 0)["seen"]
    assert evaluation.roc_auc(run.distances["seen"], drawn.different) > 0.9


def test_triplets_train_the_same_encoder(store, digits):
    run = training.train(replace(SHORT, objective="triplet"))
    assert run.history["loss"][-1] < run.history["loss"][0]
    drawn = training.draw_test_pairs(digits, data.split(digits, 0), 0)["seen"]
    assert evaluation.roc_auc(run.distances["seen"], drawn.different) > 0.9


def test_other_classes_can_be_seen(store):
    run = training.train(replace(SHORT, seen=[9, 3, 5], images_per_class=40))
    assert run.record["experiment"]["seen"] == (3, 5, 9)
    dataset = training.load_data(Experiment(dataset="digits", seen=(3, 5, 9)))
    assert dataset.seen == (3, 5, 9)
    assert dataset.unseen == (0, 1, 2, 4, 6, 7, 8)


def test_one_experiment_has_one_spelling():
    assert replace(SHORT, margin=2) == replace(SHORT, margin=2.0)
    assert repr(replace(SHORT, margin=2)) == repr(replace(SHORT, margin=2.0))


def test_changed_sources_change_the_key_and_comments_do_not(tmp_path):
    module = ModuleType("sample")
    module.__file__ = str(tmp_path / "sample.py")

    def digest(text):
        (tmp_path / "sample.py").write_text(text)
        return runs.source_digest([module])

    plain = digest("def f(x):\n    return x + 1\n")
    assert digest('"""Doc."""\ndef f(x):\n    """Doc."""\n    # why\n    return (x + 1)\n') == plain
    assert digest("def f(x):\n    return x + 2\n") != plain
