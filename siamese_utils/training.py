"""From an Experiment to a trained network with its history and measurements."""

import hashlib
import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from siamese_utils import data, losses, models, pairs, runs
from siamese_utils.progress import Progress
from siamese_utils.runs import Run

STUDY_THRESHOLD = 0.5  # the study counts a pair as "different" beyond this distance
LEARNING_RATES = {"rmsprop": 0.001, "adam": 0.001, "adadelta": 1.0, "sgd": 0.01}
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
    batch: int = 128  # pairs in a step, at most
    seed: int = 0
    precision: str = "auto"  # float32, mixed_bfloat16, or auto: the faster one of this machine
    dataset: str = "auto"
    images_per_class: int | None = None
    pairs: str = "once"  # drawn once as in 2019, or `anew` every epoch

    def __post_init__(self) -> None:
        """Refuse what cannot be trained. Raises ValueError."""
        choices = {
            "model": models.MODELS,
            "optimizer": LEARNING_RATES,
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

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        return f"{self.model}, m = {self.margin:g}, {self.optimizer}, seed {self.seed}"


def train_seeds(experiment: Experiment, seeds: int) -> list[Run]:
    """Train an experiment with the seeds 0, 1, ...: each has its own split, pairs and weights."""
    return [train(replace(experiment, seed=seed)) for seed in range(seeds)]


def train(experiment: Experiment) -> Run:
    """Return the finished training, from the store where it is there, else trained and stored.

    On one processor the same experiment gives the same weights to the bit. Sets Keras's global
    random seed. Raises TrainingDivergedError where the loss is no number.
    """
    experiment = _settle(experiment)
    dataset = data.load(experiment.dataset, experiment.images_per_class)
    split = data.split(dataset, experiment.seed)
    key = _make_key(experiment, dataset, split)
    if run := runs.load(key):
        return run
    start = time.perf_counter()
    keras.utils.set_random_seed(experiment.seed)
    encoder = models.build_encoder(experiment.model, dataset.images.shape[1:], experiment.precision)
    history = _fit(experiment, encoder, dataset, split)
    distances = _measure(encoder, dataset, draw_test_pairs(dataset, split, experiment.seed))
    record = {
        "experiment": asdict(experiment),
        "parameters": encoder.count_params(),
        "seconds": round(time.perf_counter() - start, 1),
        "data": dataset.digest,
        "sources": _sources(),
        "machine": _machine(),
    }
    run = Run(record, history, encoder.get_weights(), distances)
    runs.save(key, run)
    return run


def rebuild_encoder(run: Run, image_shape: tuple[int, int, int]) -> keras.Model:
    """Return the trained encoder of a run."""
    experiment = run.record["experiment"]
    encoder = models.build_encoder(experiment["model"], image_shape, experiment["precision"])
    encoder.set_weights(run.weights)
    return encoder


def embed(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the embeddings of images: (images, h, w, c) uint8 -> (images, 128) float32."""
    return encoder.predict(images, batch_size=EMBED_BATCH, verbose=0)


def draw_test_pairs(dataset: data.Dataset, split: data.Split, seed: int) -> dict[str, pairs.Pairs]:
    """Draw the pairs that measure a training: set name -> pairs, the same for every model.

    Those of the set `train` are drawn anew from its images: they are not the pairs trained on.
    """
    return {
        name: pairs.draw_pairs(indices, dataset.labels, np.random.default_rng([seed, 1, i]))
        for i, (name, indices) in enumerate(split.sets().items())
    }


def best_precision() -> str:
    """Return `mixed_bfloat16` where the processor or the GPU computes in it, else `float32`.

    Elsewhere bfloat16 is emulated, and far slower than float32.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
        return "mixed_bfloat16" if capability and capability >= (8, 0) else "float32"
    has_it = {"amx_bf16", "avx512_bf16"} & set(_processor_flags())
    return "mixed_bfloat16" if has_it else "float32"


# The parts of train ------------------------------------------------------------


def _settle(experiment: Experiment) -> Experiment:
    """Replace both `auto`s by what they mean here."""
    precision = experiment.precision
    precision = best_precision() if precision == "auto" else precision
    return replace(experiment, precision=precision, dataset=data.resolve(experiment.dataset))


def _fit(
    experiment: Experiment, encoder: keras.Model, dataset: data.Dataset, split: data.Split
) -> dict[str, list[float]]:
    model = models.SiameseModel(encoder, dataset.images)
    epochs = _draw_epochs(experiment, dataset, split)
    steps = len(epochs) // experiment.epochs
    model.compile(
        optimizer=_make_optimizer(experiment),
        loss=losses.ContrastiveLoss(experiment.margin),
        metrics=[
            # the loss without the regularisers, which Keras adds to `loss`
            keras.metrics.MeanMetricWrapper(
                losses.contrastive_loss, name="contrastive", margin=experiment.margin
            ),
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=STUDY_THRESHOLD),
        ],
        # fewer returns to Python; it must divide the steps, or an epoch would run over its end
        steps_per_execution=max(n for n in range(1, min(steps, 200) + 1) if steps % n == 0),
        jit_compile=False,  # XLA is slower on a CPU here
    )
    with Progress(experiment.label, experiment.epochs) as progress:
        history = model.fit(
            _to_dataset(epochs),
            epochs=experiment.epochs,
            steps_per_epoch=steps,
            validation_data=_to_dataset(_draw_validation(experiment, dataset, split)),
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: progress.epoch_done()),
                keras.callbacks.TerminateOnNaN(),
            ],
            shuffle=False,  # the steps come shuffled
            verbose=0,
        ).history
    if not np.isfinite(history["loss"]).all():
        raise TrainingDivergedError(f"{experiment.label}: the loss is no number any more")
    return {name: [float(value) for value in values] for name, values in history.items()}


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


def _to_dataset(blocks: pairs.Blocks) -> tf.data.Dataset:
    """Return the steps as Keras wants them: (inputs, labels)."""
    inputs = {"images": blocks.images, "pairs": blocks.pairs}
    labels = np.tile(blocks.different, (len(blocks), 1))
    options = tf.data.Options()
    # There is nothing to tune, and the tuner's thread sleeps for up to a minute at a time:
    # the end of a training would wait until it wakes.
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).prefetch(8).with_options(options)


def _make_optimizer(experiment: Experiment) -> keras.optimizers.Optimizer:
    kinds = {
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adadelta": keras.optimizers.Adadelta,
        "sgd": keras.optimizers.SGD,
    }
    momentum = {"momentum": 0.9} if experiment.optimizer == "sgd" else {}
    return kinds[experiment.optimizer](experiment.learning_rate, **momentum)


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
    split_digest = hashlib.sha256()
    for indices in split.sets().values():
        split_digest.update(indices.astype(np.int64).tobytes())
    parts = {"experiment": asdict(experiment), "sources": _sources(), "data": dataset.digest}
    versions = {library.__name__: library.__version__ for library in (tf, keras, np)}
    return runs.make_key(parts | {"split": split_digest.hexdigest(), "versions": versions})


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


def _machine() -> dict[str, object]:
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
