import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from siamese_utils import settings
from siamese_utils.evaluation import pair_distances
from siamese_utils.training import cache as keep
from siamese_utils.training import config, pair_training, tasks, trainer
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=2, precision="float32")


def auc_of(run):
    """The AUC on the study's pairs of seen classes."""
    [found] = pair_distances.of_trained([run])
    return found.sampled_curve("seen").auc


def run_python(program, folder=settings.ROOT, **environment):
    """The output of a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_learns_and_is_kept(store):
    run = trainer.train(SHORT)
    assert run.history["contrastive"][-1] < run.history["contrastive"][0]
    assert run.record["parameters"] == 1_215_104
    assert run.record["precision"] == "float32"
    assert pair_training.config_of(run) == SHORT
    assert run.key == SHORT.resolve().key()
    assert list(store.iterdir()) == [keep.path_of(run.key)]
    assert auc_of(run) > 0.9


def test_no_training_is_done_twice(store, monkeypatch):
    first = trainer.train(SHORT)
    monkeypatch.setattr(trainer, "fit", lambda *_: pytest.fail("trained again"))
    second = trainer.train(SHORT)
    assert second.record == first.record
    assert second.history == first.history
    assert all(map(np.array_equal, first.weights, second.weights))


def test_the_same_seed_gives_the_same_weights_in_another_process(store):
    run = trainer.train(replace(SHORT, model="complex"))
    program = (
        "import hashlib; from siamese_utils.training import trainer; "
        "from siamese_utils.training.pair_training import TrainingConfig; "
        "run = trainer.train(TrainingConfig(dataset='digits', epochs=2, precision='float32', model='complex')); "
        "print(hashlib.sha256(b''.join(w.tobytes() for w in run.weights)).hexdigest())"
    )
    told = run_python(program, **{settings.CACHE_VARIABLE: str(store / "other")})
    ours = hashlib.sha256(b"".join(weight.tobytes() for weight in run.weights)).hexdigest()
    assert told.split()[-1] == ours


CHANGES = {
    "seed": 1,
    "margin": 2.0,
    "model": "complex",
    "pairs": "anew",
    "images_per_class": 50,
    "task": "softmax",
    "seen": (0, 1, 2),
    "optimizer": "adam",
    "learning_rate": 0.01,
    "epochs": 3,
    "batch": 64,
    "precision": "mixed_bfloat16",
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_experiment_is_another_training(field):
    changed = replace(SHORT, **{field: CHANGES[field]})
    assert SHORT.resolve().key() != changed.resolve().key()


def test_no_field_of_an_experiment_is_forgotten():
    assert {*CHANGES, "dataset"} == {field.name for field in fields(TrainingConfig)}


@pytest.mark.parametrize("table", ["MODELS", "OPTIMIZERS"])
def test_what_a_name_stands_for_is_part_of_the_key(monkeypatch, table):
    key = SHORT.resolve().key()
    changed = {
        "MODELS": config.ENCODERS | {"base": config.Regularisation(dropout=0.5)},
        "OPTIMIZERS": config.OPTIMIZERS | {"rmsprop": ("RMSprop", {"momentum": 0.5})},
    }[table]
    monkeypatch.setattr(trainer, table, changed)
    assert SHORT.resolve().key() != key


def test_auto_is_settled_before_it_names_anything(digits):
    found = trainer.resolve(replace(SHORT, precision="auto", dataset="digits"))
    assert found.precision in ("float32", "mixed_bfloat16")
    assert SHORT.resolve() == SHORT


def test_pairs_drawn_once_come_again_and_drawn_anew_do_not(digits):
    split = digits.split(0)
    for mode, again in (("once", True), ("anew", False)):
        epochs = tasks.sample_training_batches(replace(SHORT, pairs=mode), digits, split)
        half = len(epochs) // 2
        first, second = (
            set(map(bytes, epochs.images[part])) for part in (slice(half), slice(half, None))
        )
        assert (first == second) == again
        assert not np.array_equal(epochs.images[:half], epochs.images[half:])


@pytest.mark.parametrize("pair_set", ["train", "validation"])
def test_steps_are_drawn_from_their_own_images(digits, pair_set):
    split = digits.split(0)
    draw = {"train": tasks.sample_training_batches, "validation": tasks.sample_validation_batches}[
        pair_set
    ]
    assert set(draw(SHORT, digits, split).images.ravel()) <= set(split.sets()[pair_set])


def test_a_loss_that_is_no_number_raises_and_stores_nothing(store):
    with pytest.raises(trainer.TrainingDivergedError, match="no number"):
        trainer.train(replace(SHORT, margin=1e30))  # its square is infinite
    assert not store.exists() or not list(store.iterdir())


@pytest.mark.parametrize("task", tasks.TASKS)
@pytest.mark.fault("a learning rate of 1e30", "an error; nothing is stored")
def test_a_training_that_diverges_raises_and_stores_nothing(store, task):
    # ReLU turns what is no number into 0: the loss may be finite all the while
    experiment = replace(SHORT, task=task, learning_rate=1e30)
    with pytest.raises(trainer.TrainingDivergedError, match="number"):
        trainer.train(experiment, milestones=(1,))
    assert not store.exists() or not list(store.iterdir())


def test_embeddings_that_are_no_numbers_are_refused(digits):
    encoder = pair_training.build_untrained_encoder("base", 0, (28, 28, 1))
    assert trainer.embed(encoder, digits.images[:5]).shape == (5, 128)
    weights = encoder.get_weights()
    weights[-1][0] = np.inf
    encoder.set_weights(weights)
    with pytest.raises(trainer.TrainingDivergedError, match="no numbers"):
        trainer.embed(encoder, digits.images[:5])


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
        ("task", "cosine"),
        ("learning_rate", 0.0),
        ("batch", -1),
    ],
)
def test_what_cannot_be_trained_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        TrainingConfig(**{field: value})


def test_a_long_training_passes_through_the_shorter_ones(store):
    trainer.train(replace(SHORT, epochs=3, model="complex"), milestones=(1, 2, 7))
    assert len(list(store.iterdir())) == 3
    on_the_way = trainer.train(replace(SHORT, model="complex"))
    assert len(list(store.iterdir())) == 3
    assert len(on_the_way.history["loss"]) == on_the_way.record["config"]["epochs"] == 2
    for path in store.iterdir():
        path.unlink()
    by_itself = trainer.train(replace(SHORT, model="complex"))
    assert by_itself.history == on_the_way.history
    assert by_itself.key == on_the_way.key
    assert all(map(np.array_equal, by_itself.weights, on_the_way.weights))


def test_a_shorter_training_that_is_missing_is_trained_no_further(store):
    experiment = replace(SHORT, images_per_class=40)
    longer = trainer.train(experiment)
    written = keep.path_of(longer.key).stat().st_mtime_ns
    assert trainer.train(experiment, milestones=[1]).record == longer.record
    shorter = keep.load(trainer.key_of(trainer.resolve(replace(experiment, epochs=1))))
    assert len(shorter.history["loss"]) == 1
    assert shorter.history["loss"] == longer.history["loss"][:1]
    assert keep.path_of(longer.key).stat().st_mtime_ns == written


def test_seeds_are_trained_one_by_one(store):
    runs = trainer.train_seeds(replace(SHORT, images_per_class=40, epochs=1), 2)
    assert [run.record["config"]["seed"] for run in runs] == [0, 1]
    assert not np.array_equal(runs[0].weights[0], runs[1].weights[0])


def test_a_classifier_is_trained_on_the_seen_classes(store):
    run = trainer.train(replace(SHORT, task="softmax", epochs=4))
    assert run.history["val_accuracy"][-1] > 0.9
    assert run.record["parameters"] == 1_215_104  # without the softmax layer
    assert auc_of(run) > 0.9


def test_triplets_train_the_same_encoder(store):
    run = trainer.train(replace(SHORT, task="triplet"))
    assert run.history["loss"][-1] < run.history["loss"][0]
    assert run.record["parameters"] == 1_215_104
    assert auc_of(run) > 0.9


def test_other_classes_can_be_seen(store):
    run = trainer.train(replace(SHORT, seen=[9, 3, 5], images_per_class=40))
    assert run.record["config"]["seen"] == (3, 5, 9)
    assert pair_training.config_of(keep.load(run.key)).seen == (3, 5, 9)
    dataset = trainer.load_data(TrainingConfig(dataset="digits", seen=(3, 5, 9)))
    assert dataset.seen == (3, 5, 9)
    assert dataset.unseen == (0, 1, 2, 4, 6, 7, 8)


def test_one_experiment_has_one_spelling():
    assert replace(SHORT, margin=2) == replace(SHORT, margin=2.0)
    assert repr(replace(SHORT, margin=2)) == repr(replace(SHORT, margin=2.0))


def test_an_untrained_encoder_is_where_training_begins(store):
    hardly = trainer.train(replace(SHORT, learning_rate=1e-12, seed=3))
    encoder = pair_training.build_untrained_encoder("base", 3, (28, 28, 1))
    for before, after in zip(encoder.get_weights(), hardly.weights, strict=True):
        assert np.allclose(before, after, atol=1e-9)


NEW_LOSS = '''

def squared_loss(different: Tensor, distance: Tensor, margin: float = 1.0) -> Tensor:
    """Return the squared gap between a pair's distance and what it should be: 0, or the margin."""
    return ops.square(distance - margin * ops.cast(different, "float32"))
'''
NEW_OBJECTIVE = '''

def squared(
    experiment: Experiment, encoder: keras.Model, dataset: Dataset, split: Split
) -> Prepared:
    """Prepare the squared loss on the study's pairs."""
    from siamese_utils.training import losses, models

    model = models.SiameseModel(encoder, dataset.images)
    model.compile(models.build_optimizer(experiment), losses.squared_loss, jit_compile=False)
    blocks = draw_epochs(experiment, dataset, split), draw_validation(experiment, dataset, split)
    return model, *(
        to_steps({"images": b.images, "pairs": b.pairs}, np.tile(b.different, (len(b), 1)))
        for b in blocks
    )
'''
REGISTERED = 'TASKS["squared"] = squared\n'
WITH_NEW_LOSS = """
import json, sys, siamese_utils
from dataclasses import replace
from siamese_utils.training import trainer
from siamese_utils.training.pair_training import TrainingConfig
base = TrainingConfig(dataset="digits", epochs=2, precision="float32")
others = [replace(base, task=name) for name in ("triplet", "softmax")]
keys = [e.resolve().key() for e in (base, *others)]
loaded = trainer.train(base)
assert "keras" not in sys.modules, "the base model was trained again"
run = trainer.train(replace(base, task="squared"))
print(json.dumps([siamese_utils.__file__, keys, loaded.key, run.key, run.history]))
"""


def test_a_new_loss_costs_three_places_and_retrains_nothing_else(store, tmp_path):
    base = trainer.train(SHORT)
    path = keep.path_of(base.key)
    before = path.stat().st_mtime_ns, path.read_bytes()
    others = [replace(SHORT, task=name) for name in ("triplet", "softmax")]
    keys = [e.resolve().key() for e in (SHORT, *others)]

    copy = tmp_path / "copy" / "siamese_utils"
    shutil.copytree(
        settings.ROOT / "siamese_utils", copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    with (copy / "training" / "losses.py").open("a", encoding="utf-8") as file:
        file.write(NEW_LOSS)
    with (copy / "training" / "tasks.py").open("a", encoding="utf-8") as file:
        file.write(NEW_OBJECTIVE + "\n\n" + REGISTERED)
    told = run_python(WITH_NEW_LOSS, tmp_path, PYTHONPATH=str(copy.parent))
    place, their_keys, loaded, new, history = json.loads(told.splitlines()[-1])
    assert place == str(copy / "__init__.py")
    # the copy finds what was trained before the loss was there, and does not touch it
    assert their_keys == keys
    assert loaded == base.key
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    # and keeps the new training beside it
    assert new not in keys
    assert {file.stem for file in store.iterdir()} == {base.key, new}
    assert history["loss"][-1] < history["loss"][0]
