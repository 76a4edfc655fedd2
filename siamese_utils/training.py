"""From an Experiment to a trained network with its history and measurements."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from siamese_utils import data, losses, models, pairs, runs
from siamese_utils.progress import Progress
from siamese_utils.runs import Run

STUDY_THRESHOLD = 0.5  # the study counts a pair as "different" beyond this distance
OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adadelta": keras.optimizers.Adadelta,
    "sgd": partial(keras.optimizers.SGD, momentum=0.9),
}
OBJECTIVES = ("contrastive", "triplet", "softmax")
EMBED_BATCH = 512  # images; larger ones gain nothing and take memory


class TrainingDivergedError(Exception):
    """The loss of a training stopped being a number; nothing was stored."""


@dataclass(frozen=True)
class Experiment:
    """One training, named by all that shapes it. The defaults are the study's base model."""

    model: str = "base"
    margin: float = 1.0
    optimizer: str = "rmsprop"
    learning_rate: float = 0.001
    epochs: int = 20
    batch: int = 128  # pairs in a step, at most; images where the objective is softmax
    seed: int = 0
    precision: str = "auto"  # float32, mixed_bfloat16, or auto: the faster one of this machine
    dataset: str = "auto"
    images_per_class: int | None = None
    pairs: str = "once"  # drawn once as in 2019, or `anew` every epoch
    objective: str = "contrastive"  # on pairs; `triplet`, or `softmax`: to name the seen classes
    seen: tuple[int, ...] | None = None  # other classes to train on than the data set's own

    def __post_init__(self) -> None:
        """Refuse what cannot be trained. Raises ValueError."""
        choices = {
            "model": models.MODELS,
            "optimizer": OPTIMIZERS,
            "objective": OBJECTIVES,
            "precision": ("auto", "float32", "mixed_bfloat16"),
            "pairs": ("once", "anew"),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                given = getattr(self, field)
                raise ValueError(f"unknown {field} {given!r}; choose one of {', '.join(allowed)}")
        for field in ("margin", "learning_rate", "epochs", "batch"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be above 0, not {getattr(self, field)}")
        # one spelling of one experiment: 2 and 2.0 are the same margin
        for field in ("margin", "learning_rate"):
            object.__setattr__(self, field, float(getattr(self, field)))
        if self.seen is not None:
            object.__setattr__(self, "seen", tuple(sorted(int(c) for c in self.seen)))

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        kind = "" if self.objective == "contrastive" else f"{self.objective}, "
        margin = "" if self.objective == "softmax" else f"m = {self.margin:g}, "  # it has none
        return f"{self.model}, {kind}{margin}{self.optimizer}, seed {self.seed}"


def train_seeds(experiment: Experiment, seeds: int, milestones: Sequence[int] = ()) -> list[Run]:
    """Train an experiment with the seeds 0, 1, ...: each has its own split, pairs and weights."""
    return [train(replace(experiment, seed=seed), milestones) for seed in range(seeds)]


def train(experiment: Experiment, milestones: Sequence[int] = ()) -> Run:
    """Return the finished training, from the store where it is there, else trained and stored.

    A long training passes through the shorter ones: with the `milestones`, numbers of epochs, the
    same experiment of so many epochs is stored on the way, as if trained by itself. On one
    processor the same experiment gives the same weights to the bit. Sets Keras's global random
    seed. Raises TrainingDivergedError where the loss is no number.
    """
    experiment = _settle(experiment)
    dataset = load_data(experiment)
    split = data.split(dataset, experiment.seed)
    lengths = {n for n in milestones if n < experiment.epochs} | {experiment.epochs}
    keys = {n: _make_key(replace(experiment, epochs=n), dataset, split) for n in lengths}
    stored = {n: runs.load(key) for n, key in keys.items()}
    if all(stored.values()):
        return stored[experiment.epochs]
    start = time.perf_counter()
    _seed_everything(experiment.seed)
    encoder = models.build_encoder(experiment.model, dataset.images.shape[1:], experiment.precision)

    def keep(history: dict[str, list[float]]) -> None:
        """Store the training at the end of an epoch that asks for it."""
        epochs = len(history["loss"])
        if epochs in keys:
            finished = replace(experiment, epochs=epochs)
            stored[epochs] = _make_run(finished, encoder, history, dataset, split, start)
            runs.save(keys[epochs], stored[epochs])

    fit_encoder(experiment, encoder, dataset, split, keep)
    return stored[experiment.epochs]


def load_data(experiment: Experiment) -> data.Dataset:
    """Return the data set of an experiment, with its seen classes."""
    dataset = data.load(experiment.dataset, experiment.images_per_class)
    return dataset.with_seen(experiment.seen)


def rebuild_encoder(run: Run, image_shape: tuple[int, int, int]) -> keras.Model:
    """Return the trained encoder of a run."""
    experiment = run.record["experiment"]
    encoder = models.build_encoder(experiment["model"], image_shape, experiment["precision"])
    encoder.set_weights(run.weights)
    return encoder


def embed(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the embeddings of images: (images, h, w, c) -> (images, dimensions) float32."""
    return encoder.predict(images, batch_size=EMBED_BATCH, verbose=0)


def draw_test_pairs(dataset: data.Dataset, split: data.Split, seed: int) -> dict[str, pairs.Pairs]:
    """Draw the pairs that measure a training: set name -> pairs, the same for every model.

    Those of the set `train` are drawn anew from its images: they are not the pairs trained on.
    """
    return {
        name: pairs.draw_pairs(indices, dataset.labels, np.random.default_rng([seed, 1, i]))
        for i, (name, indices) in enumerate(split.sets().items())
    }


def without_tuning() -> tf.data.Options:
    """Return the options of every pipeline here.

    There is nothing to tune, and the tuner's thread sleeps for up to a minute at a time: the end
    of a training would wait until it wakes.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def best_precision() -> str:
    """Return `mixed_bfloat16` where the processor or the GPU computes in it, else `float32`.

    Elsewhere bfloat16 is emulated, and far slower than float32.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
        return "mixed_bfloat16" if capability and capability >= (8, 0) else "float32"
    has_it = {"amx_bf16", "avx512_bf16"} & set(_processor_flags())
    return "mixed_bfloat16" if has_it else "float32"


def describe_machine() -> dict[str, object]:
    """Return what a training runs on: system, processor features, GPUs, versions."""
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "features": [flag for flag in wanted if flag in _processor_flags()],
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def fit_encoder(
    experiment: Experiment,
    encoder: keras.Model,
    dataset: data.Dataset,
    split: data.Split,
    after_epoch: Callable[[dict[str, list[float]]], None],
) -> None:
    """Train an encoder in place; `after_epoch` is called with the history so far.

    Raises TrainingDivergedError where the loss is no number.
    """
    prepare = {
        "contrastive": _prepare_pairs,
        "triplet": _prepare_triplets,
        "softmax": _prepare_classifier,
    }[experiment.objective]
    model, train_steps, validation_steps = prepare(experiment, encoder, dataset, split)
    steps = len(train_steps) // experiment.epochs
    # fewer returns to Python; it must divide the steps, or an epoch would run over its end
    model.steps_per_execution = max(n for n in range(1, min(steps, 200) + 1) if steps % n == 0)
    history: dict[str, list[float]] = {}

    def end_epoch(_: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise TrainingDivergedError(f"{experiment.label}: the loss is no number any more")
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        progress.epoch_done()
        after_epoch(history)

    with Progress(experiment.label, experiment.epochs) as progress:
        model.fit(
            train_steps,
            epochs=experiment.epochs,
            steps_per_epoch=steps,
            validation_data=validation_steps,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=end_epoch),
                keras.callbacks.TerminateOnNaN(),
            ],
            shuffle=False,  # the steps come shuffled
            verbose=0,
        )


# The parts of train ------------------------------------------------------------


def _settle(experiment: Experiment) -> Experiment:
    """Replace both `auto`s by what they mean here."""
    precision = experiment.precision
    precision = best_precision() if precision == "auto" else precision
    return replace(experiment, precision=precision, dataset=data.resolve(experiment.dataset))


def _seed_everything(seed: int) -> None:
    keras.utils.set_random_seed(seed)
    if tf.config.list_physical_devices("GPU"):  # a CPU is deterministic by itself
        tf.config.experimental.enable_op_determinism()


def _prepare_pairs(
    experiment: Experiment, encoder: keras.Model, dataset: data.Dataset, split: data.Split
) -> tuple[keras.Model, tf.data.Dataset, tf.data.Dataset]:
    """Return the compiled Siamese model with the steps of all epochs and of the validation."""
    model = models.SiameseModel(encoder, dataset.images)
    model.compile(
        optimizer=OPTIMIZERS[experiment.optimizer](experiment.learning_rate),
        loss=losses.ContrastiveLoss(experiment.margin),
        metrics=[
            # the loss without the regularisers, which Keras adds to `loss`
            keras.metrics.MeanMetricWrapper(
                losses.contrastive_loss, name="contrastive", margin=experiment.margin
            ),
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=STUDY_THRESHOLD),
        ],
        jit_compile=False,  # XLA is slower on a CPU here
    )
    blocks = _draw_epochs(experiment, dataset, split), _draw_validation(experiment, dataset, split)
    return model, *(
        _to_dataset(
            {"images": drawn.images, "pairs": drawn.pairs},
            np.tile(drawn.different, (len(drawn), 1)),
        )
        for drawn in blocks
    )


def _prepare_triplets(
    experiment: Experiment, encoder: keras.Model, dataset: data.Dataset, split: data.Split
) -> tuple[keras.Model, tf.data.Dataset, tf.data.Dataset]:
    """Return the compiled model with the steps of all epochs and of the validation.

    The images of a step are those of the same step of pairs; the triplets are formed among them.
    """
    model = models.Embedder(encoder, dataset.images)
    model.compile(
        optimizer=OPTIMIZERS[experiment.optimizer](experiment.learning_rate),
        loss=losses.TripletLoss(experiment.margin),
        jit_compile=False,
    )
    blocks = _draw_epochs(experiment, dataset, split), _draw_validation(experiment, dataset, split)
    return model, *(_to_dataset(drawn.images, dataset.labels[drawn.images]) for drawn in blocks)


def _prepare_classifier(
    experiment: Experiment, encoder: keras.Model, dataset: data.Dataset, split: data.Split
) -> tuple[keras.Model, tf.data.Dataset, tf.data.Dataset]:
    """Return the compiled classifier with the steps of all epochs and of the validation."""
    model = models.Classifier(encoder, dataset.images, len(dataset.seen))
    model.compile(
        optimizer=OPTIMIZERS[experiment.optimizer](experiment.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    rng = np.random.default_rng([experiment.seed, 4])
    whole = len(split.train) - len(split.train) % experiment.batch  # the rest waits for its turn
    epochs = [rng.permutation(split.train)[:whole] for _ in range(experiment.epochs)]
    batches = np.concatenate(epochs).reshape(-1, experiment.batch)
    position = np.searchsorted(dataset.seen, dataset.labels)  # a seen class's place among them
    held_out = split.validation[np.newaxis]
    return model, *(_to_dataset(rows, position[rows]) for rows in (batches, held_out))


def _draw_epochs(experiment: Experiment, dataset: data.Dataset, split: data.Split) -> pairs.Blocks:
    """Return the steps of all epochs; they are small, since a pair is two numbers."""
    rng = np.random.default_rng([experiment.seed, 2])
    arguments = (split.train, dataset.labels, experiment.batch, rng)
    if experiment.pairs == "anew":
        return pairs.join_blocks([pairs.draw_blocks(*arguments) for _ in range(experiment.epochs)])
    blocks = pairs.draw_blocks(*arguments)
    return pairs.join_blocks([pairs.shuffle_blocks(blocks, rng) for _ in range(experiment.epochs)])


def _draw_validation(
    experiment: Experiment, dataset: data.Dataset, split: data.Split
) -> pairs.Blocks:
    rng = np.random.default_rng([experiment.seed, 3])
    return pairs.draw_blocks(split.validation, dataset.labels, 8 * experiment.batch, rng)


def _to_dataset(inputs: object, targets: np.ndarray) -> tf.data.Dataset:
    """Return steps as Keras wants them, (inputs, targets): one for each row."""
    steps = tf.data.Dataset.from_tensor_slices((inputs, targets)).prefetch(8)
    return steps.with_options(without_tuning())


def _make_run(
    experiment: Experiment,
    encoder: keras.Model,
    history: dict[str, list[float]],
    dataset: data.Dataset,
    split: data.Split,
    start: float,
) -> Run:
    distances = _measure(encoder, dataset, draw_test_pairs(dataset, split, experiment.seed))
    record = {
        "experiment": asdict(experiment),
        "parameters": encoder.count_params(),
        "seconds": round(time.perf_counter() - start, 1),
        "data": dataset.digest,
        "sources": _sources(),
        "machine": describe_machine(),
    }
    so_far = {name: list(values) for name, values in history.items()}
    return Run(record, so_far, encoder.get_weights(), distances)


def _measure(
    encoder: keras.Model, dataset: data.Dataset, sets: dict[str, pairs.Pairs]
) -> dict[str, np.ndarray]:
    """Return the distances of each set's pairs; one pass over the images serves all sets."""
    embeddings = embed(encoder, dataset.images)
    return {
        name: np.asarray(
            losses.euclidean_distance(embeddings[drawn.first], embeddings[drawn.second])
        )
        for name, drawn in sets.items()
    }


# The key and the record ----------------------------------------------------------


def _make_key(experiment: Experiment, dataset: data.Dataset, split: data.Split) -> str:
    parts = {"experiment": asdict(experiment), "sources": _sources(), "data": dataset.digest}
    versions = {library.__name__: library.__version__ for library in (tf, keras, np)}
    return runs.make_key(parts | {"split": split.digest, "versions": versions})


@cache
def _sources() -> str:
    import siamese_utils.training as this_module

    return runs.source_digest([pairs, losses, models, this_module])


@cache
def _processor_flags() -> tuple[str, ...]:
    """Return what the processor can do, as Linux names it; elsewhere nothing is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    flags = next((line for line in lines if line.startswith("flags")), ":")
    return tuple(flags.split(":", 1)[1].split())
