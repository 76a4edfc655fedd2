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
from siamese_utils.training import cache, encoders, pair_training, tasks, trainer
from siamese_utils.training.encoders import Encoder, study_encoder
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=2, precision="float32")


def seen_auc(result):
    """The AUC on the study's pairs of seen classes."""
    [measured] = pair_distances.of_trained([result])
    return measured.sampled_curve("seen").auc


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


def test_training_learns_and_its_result_is_cached(store):
    result = trainer.train(SHORT)
    assert result.history["contrastive"][-1] < result.history["contrastive"][0]
    assert result.record["parameters"] == 1_215_104
    assert result.record["precision"] == "float32"
    assert result.record["kind"] == SHORT.kind
    assert pair_training.config_of(result) == SHORT
    assert result.key == SHORT.resolve().key()
    assert list(store.iterdir()) == [cache.path_of(result.key)]
    assert seen_auc(result) > 0.9


def test_a_cached_result_is_not_trained_again(store, monkeypatch):
    first = trainer.train(SHORT)
    monkeypatch.setattr(pair_training, "fit", lambda *_: pytest.fail("trained again"))
    second = trainer.train(SHORT)
    assert second.record == first.record
    assert second.history == first.history
    assert all(map(np.array_equal, first.weights, second.weights))


def test_an_epoch_of_two_steps_takes_the_first_two_batches(store):
    config = replace(SHORT, epochs=1, steps_per_epoch=2)
    assert pair_training.count_steps(config) == 2
    assert pair_training.count_steps(SHORT) == 2 * pair_training.count_steps(
        replace(SHORT, epochs=1)
    )
    result = trainer.train(config)
    dataset = config.load_data()
    trainer.seed_everything(config.seed)
    encoder = config.build_encoder(dataset.images.shape[1:])
    model, steps, _ = config.prepare(encoder, dataset, config.split())
    for inputs, targets in steps.take(2):
        model.train_on_batch(inputs, targets)
    for ours, by_hand in zip(result.weights, encoder.get_weights(), strict=True):
        np.testing.assert_allclose(ours, by_hand, atol=1e-5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_in_another_process(store):
    result = trainer.train(replace(SHORT, model="complex"))
    program = (
        "import hashlib; from siamese_utils.training import trainer; "
        "from siamese_utils.training.pair_training import TrainingConfig; "
        "result = trainer.train(TrainingConfig(dataset='digits', epochs=2, precision='float32', model='complex')); "
        "print(hashlib.sha256(b''.join(w.tobytes() for w in result.weights)).hexdigest())"
    )
    output = run_python(program, **{settings.CACHE_VARIABLE: str(store / "other")})
    ours = hashlib.sha256(b"".join(weight.tobytes() for weight in result.weights)).hexdigest()
    assert output.split()[-1] == ours


CHANGES = {
    "seed": 1,
    "margin": 2.0,
    "model": "complex",
    "pair_sampling": "each epoch",
    "images_per_class": 50,
    "task": "softmax",
    "seen": (0, 1, 2),
    "optimizer": "adam",
    "learning_rate": 0.01,
    "epochs": 3,
    "batch_size": 64,
    "precision": "mixed_bfloat16",
    "labelled": 20,
    "steps_per_epoch": 2,
}


@pytest.mark.parametrize("field", CHANGES)
def test_the_key_changes_with_each_field(field):
    changed = replace(SHORT, **{field: CHANGES[field]})
    assert SHORT.resolve().key() != changed.resolve().key()


def test_the_changed_fields_are_all_fields_of_a_config():
    assert {*CHANGES, "dataset"} == {field.name for field in fields(TrainingConfig)}


REGISTRIES = {
    "options of an encoder": ("ENCODERS", {"base": Encoder(study_encoder, {"dropout": 0.5})}),
    "function of an encoder": ("ENCODERS", {"base": Encoder(encoders.small_encoder)}),
    "optimizer": ("OPTIMIZERS", {"rmsprop": ("RMSprop", {"momentum": 0.5})}),
    "task": ("TASKS", {"contrastive": tasks.TASKS["triplet"]}),
}


@pytest.mark.parametrize("changed", REGISTRIES)
def test_the_key_changes_with_the_entry_that_a_name_stands_for(monkeypatch, changed):
    key = SHORT.resolve().key()
    registry, entry = REGISTRIES[changed]
    for name, value in entry.items():
        monkeypatch.setitem(getattr(pair_training, registry), name, value)
    assert SHORT.resolve().key() != key


def test_auto_is_resolved_to_a_precision_and_a_data_set(digits):
    resolved = replace(SHORT, precision="auto", dataset="digits").resolve()
    assert resolved.precision in ("float32", "mixed_bfloat16")
    assert SHORT.resolve() == SHORT


def test_pairs_sampled_once_are_repeated_and_those_of_each_epoch_are_not(digits):
    split = digits.split(0)
    for mode, repeated in (("once", True), ("each epoch", False)):
        batches = tasks.sample_training_batches(replace(SHORT, pair_sampling=mode), digits, split)
        half = len(batches) // 2
        first, second = (
            set(map(bytes, batches.images[part])) for part in (slice(half), slice(half, None))
        )
        assert (first == second) == repeated
        assert not np.array_equal(batches.images[:half], batches.images[half:])


@pytest.mark.parametrize("pair_set", ["train", "validation"])
def test_batches_are_sampled_from_the_images_of_their_set(digits, pair_set):
    split = digits.split(0)
    sample = {
        "train": tasks.sample_training_batches,
        "validation": tasks.sample_validation_batches,
    }[pair_set]
    assert set(sample(SHORT, digits, split).images.ravel()) <= set(split.sets()[pair_set])


def test_an_infinite_loss_raises_an_error_and_stores_nothing(store):
    with pytest.raises(trainer.TrainingDivergedError, match="the loss is not finite"):
        trainer.train(replace(SHORT, margin=1e30))  # its square is infinite
    assert not store.exists() or not list(store.iterdir())


@pytest.mark.parametrize("task", tasks.TASKS)
@pytest.mark.fault("a learning rate of 1e30", "an error; nothing is stored")
def test_a_training_that_diverges_raises_an_error_and_stores_nothing(store, task):
    # ReLU turns NaN into 0: the loss may be finite all the while
    config = replace(SHORT, task=task, learning_rate=1e30)
    with pytest.raises(trainer.TrainingDivergedError, match="not finite"):
        trainer.train(config, milestones=(1,))
    assert not store.exists() or not list(store.iterdir())


def test_embeddings_that_are_not_finite_are_refused(digits):
    encoder = pair_training.build_untrained_encoder("base", 0, (28, 28, 1))
    assert trainer.embed(encoder, digits.images[:5]).shape == (5, 128)
    weights = encoder.get_weights()
    weights[-1][0] = np.inf
    encoder.set_weights(weights)
    with pytest.raises(trainer.TrainingDivergedError, match="embeddings are not finite"):
        trainer.embed(encoder, digits.images[:5])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "vgg"),
        ("optimizer", "lion"),
        ("pair_sampling", "twice"),
        ("margin", 0.0),
        ("epochs", 0),
        ("precision", "float16"),
        ("margin", float("nan")),
        ("task", "cosine"),
        ("learning_rate", 0.0),
        ("batch_size", -1),
    ],
)
def test_values_that_cannot_be_trained_with_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        TrainingConfig(**{field: value})


def test_milestones_are_stored_on_the_way(store):
    trainer.train(replace(SHORT, epochs=3, model="complex"), milestones=(1, 2, 7))
    assert len(list(store.iterdir())) == 3
    milestone = trainer.train(replace(SHORT, model="complex"))
    assert len(list(store.iterdir())) == 3
    assert len(milestone.history["loss"]) == milestone.record["config"]["epochs"] == 2
    for path in store.iterdir():
        path.unlink()
    by_itself = trainer.train(replace(SHORT, model="complex"))
    assert by_itself.history == milestone.history
    assert by_itself.key == milestone.key
    assert all(map(np.array_equal, by_itself.weights, milestone.weights))


def test_a_missing_milestone_is_trained_without_the_epochs_after_it(store):
    config = replace(SHORT, images_per_class=40)
    longer = trainer.train(config)
    written = cache.path_of(longer.key).stat().st_mtime_ns
    assert trainer.train(config, milestones=[1]).record == longer.record
    shorter = cache.load(replace(config, epochs=1).resolve().key())
    assert len(shorter.history["loss"]) == 1
    assert shorter.history["loss"] == longer.history["loss"][:1]
    assert cache.path_of(longer.key).stat().st_mtime_ns == written


def test_each_seed_is_trained(store):
    results = trainer.train_seeds(replace(SHORT, images_per_class=40, epochs=1), 2)
    assert [result.record["config"]["seed"] for result in results] == [0, 1]
    assert not np.array_equal(results[0].weights[0], results[1].weights[0])


def test_softmax_trains_an_encoder_on_the_seen_classes(store):
    result = trainer.train(replace(SHORT, task="softmax", epochs=4))
    assert result.history["val_accuracy"][-1] > 0.9
    assert result.record["parameters"] == 1_215_104  # without the softmax layer
    assert seen_auc(result) > 0.9


def test_triplets_train_the_same_encoder(store):
    result = trainer.train(replace(SHORT, task="triplet"))
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert result.record["parameters"] == 1_215_104
    assert seen_auc(result) > 0.9


def test_a_config_can_choose_the_seen_classes(store):
    result = trainer.train(replace(SHORT, seen=[9, 3, 5], images_per_class=40))
    assert result.record["config"]["seen"] == (3, 5, 9)
    assert pair_training.config_of(cache.load(result.key)).seen == (3, 5, 9)
    dataset = TrainingConfig(dataset="digits", seen=(3, 5, 9)).load_data()
    assert dataset.seen == (3, 5, 9)
    assert dataset.unseen == (0, 1, 2, 4, 6, 7, 8)


def test_whole_and_decimal_numbers_give_the_same_config():
    assert replace(SHORT, margin=2) == replace(SHORT, margin=2.0)
    assert repr(replace(SHORT, margin=2)) == repr(replace(SHORT, margin=2.0))


def test_training_starts_from_the_weights_of_the_untrained_encoder(store):
    hardly_trained = trainer.train(replace(SHORT, learning_rate=1e-12, seed=3))
    encoder = pair_training.build_untrained_encoder("base", 3, (28, 28, 1))
    for before, after in zip(encoder.get_weights(), hardly_trained.weights, strict=True):
        assert np.allclose(before, after, atol=1e-9)


NEW_LOSS = '''

def squared_loss(different: Tensor, distance: Tensor, margin: float = 1.0) -> Tensor:
    """Return the squared gap between a pair's distance and what it should be: 0, or the margin."""
    return ops.square(distance - margin * ops.cast(different, "float32"))
'''
NEW_TASK = '''

def squared(
    config: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare training by the squared loss on the distances of pairs."""
    from siamese_utils.training import losses

    return prepare_pairs(config, encoder, dataset, split, losses.squared_loss)
'''
REGISTERED = 'TASKS["squared"] = Task(squared)\n'
WITH_NEW_LOSS = """
import json, sys, siamese_utils
from dataclasses import replace
from siamese_utils.training import trainer
from siamese_utils.training.pair_training import TrainingConfig
base = TrainingConfig(dataset="digits", epochs=2, precision="float32")
others = [replace(base, task=name) for name in ("triplet", "softmax")]
keys = [config.resolve().key() for config in (base, *others)]
loaded = trainer.train(base)
assert "keras" not in sys.modules, "the base model was trained again"
new = trainer.train(replace(base, task="squared"))
print(json.dumps([siamese_utils.__file__, keys, loaded.key, new.key, new.history]))
"""


@pytest.mark.slow
def test_a_new_loss_is_added_in_three_places_and_retrains_nothing_else(store, tmp_path):
    base = trainer.train(SHORT)
    path = cache.path_of(base.key)
    before = path.stat().st_mtime_ns, path.read_bytes()
    others = [replace(SHORT, task=name) for name in ("triplet", "softmax")]
    keys = [config.resolve().key() for config in (SHORT, *others)]

    copy = tmp_path / "copy" / "siamese_utils"
    shutil.copytree(
        settings.ROOT / "siamese_utils", copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    with (copy / "training" / "losses.py").open("a", encoding="utf-8") as file:
        file.write(NEW_LOSS)
    with (copy / "training" / "tasks.py").open("a", encoding="utf-8") as file:
        file.write(NEW_TASK + "\n\n" + REGISTERED)
    output = run_python(WITH_NEW_LOSS, tmp_path, PYTHONPATH=str(copy.parent))
    place, keys_of_copy, loaded, new, history = json.loads(output.splitlines()[-1])
    assert place == str(copy / "__init__.py")
    # the copy finds what was trained before the loss was there, and does not touch it
    assert keys_of_copy == keys
    assert loaded == base.key
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    # and caches the new result beside it
    assert new not in keys
    assert {file.stem for file in store.iterdir()} == {base.key, new}
    assert history["loss"][-1] < history["loss"][0]
    assert history["squared"] == pytest.approx(history["loss"], rel=1e-3)  # no penalties on weights
