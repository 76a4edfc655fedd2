"""Training of the study's networks, and of others on the same pairs: config, data and fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese_utils.data import datasets
from siamese_utils.data.dataset import Dataset, Split
from siamese_utils.training import cache, machine
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import OPTIMIZERS, Config, EndEpoch, Fitted, check_choice
from siamese_utils.training.encoders import ENCODERS, build_encoder, code_of
from siamese_utils.training.tasks import TASKS, PreparedTraining, sample_training_batches
from siamese_utils.training.trainer import NUM_PROBE_IMAGES, seed_everything

if TYPE_CHECKING:
    import keras

PEAK_SHARE = 0.6  # of the speed of a matrix product that training reaches
PAIR_SAMPLING = ("once", "each epoch")


@dataclass(frozen=True)
class TrainingConfig(Config):
    """A training run on the pairs of a data set. The defaults are the study's base model.

    Attributes:
        model: A name in ENCODERS.
        margin: Margin of the loss, above 0.
        optimizer: A name in OPTIMIZERS.
        learning_rate: Above 0.
        epochs: Number of passes over the training pairs.
        batch_size: Pairs in a step, at most; images if the task is softmax.
        seed: Seed of the split, the pairs and the initial weights.
        precision: `float32`, `mixed_bfloat16`, or `auto`: what suits this machine.
        dataset: A name that `datasets.load` takes.
        images_per_class: Images of each class, at most; None: all.
        pair_sampling: Pairs are sampled `once`, as in the study, or again in `each epoch`.
        task: A name in TASKS.
        seen: Classes to train on; None: the data set's own.
        labelled: Labelled images of each unseen class to train on as well, as in
            `Split.with_labelled`; None: none.
        steps_per_epoch: Gradient steps after which an epoch ends; None: all steps of the pairs.
    """

    model: str = "base"
    margin: float = 1.0
    optimizer: str = "rmsprop"
    learning_rate: float = 0.001
    epochs: int = 20
    batch_size: int = 128
    seed: int = 0
    precision: str = "auto"
    dataset: str = "auto"
    images_per_class: int | None = None
    pair_sampling: str = "once"
    task: str = "contrastive"
    seen: tuple[int, ...] | None = None
    labelled: int | None = None
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A field has a value that cannot be trained with.
        """
        choices = {
            "model": ENCODERS,
            "optimizer": OPTIMIZERS,
            "task": TASKS,
            "precision": ("auto", "float32", "mixed_bfloat16"),
            "pair_sampling": PAIR_SAMPLING,
        }
        for field, allowed in choices.items():
            check_choice(field, getattr(self, field), allowed)
        for field in ("margin", "learning_rate", "epochs", "batch_size"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be above 0, not {getattr(self, field)}")
        # 2 and 2.0 are the same margin and must give the same key.
        for field in ("margin", "learning_rate"):
            object.__setattr__(self, field, float(getattr(self, field)))
        if self.seen is not None:
            object.__setattr__(self, "seen", tuple(sorted(int(c) for c in self.seen)))

    @property
    def label(self) -> str:
        """A short name to show during training."""
        task = "" if self.task == "contrastive" else f"{self.task}, "
        margin = f"m = {self.margin:g}, " if TASKS[self.task].has_margin else ""
        split = ", another class split" if self.seen else ""
        split += f", {self.labelled} labelled" if self.labelled else ""
        split += f", {self.steps_per_epoch} steps" if self.steps_per_epoch else ""
        rate = "" if self.learning_rate == 0.001 else f" {self.learning_rate:g}"
        return f"{self.model}, {task}{margin}{self.optimizer}{rate}, seed {self.seed}{split}"

    @property
    def kind(self) -> str:
        """The row of the table of training runs that this run is counted in."""
        split = ", another class split" if self.seen else ""
        split += ", labelled images" if self.labelled else ""
        part = f", {number:,} images a class" if (number := self.images_per_class) else ""
        return f"{self.model}, {self.task}{part}{split}"

    @property
    def has_test_pairs(self) -> bool:
        """Whether the encoder is measured on pairs of test images: on the data set's own split."""
        return self.seen is None

    @property
    def dtype_policy(self) -> str:
        """The Keras dtype policy of the encoder."""
        return self.precision

    @property
    def threshold_margin(self) -> float | None:
        """The margin that distances are compared with; None if the task gives thresholds no scale."""
        return self.margin if TASKS[self.task].has_thresholds else None

    def resolve(self) -> TrainingConfig:
        """Return the config with each "auto" replaced by what it means on this machine."""
        precision = machine.best_precision() if self.precision == "auto" else self.precision
        return replace(self, precision=precision, dataset=datasets.resolve_name(self.dataset))

    def load_data(self) -> Dataset:
        """Return the data set, with its seen classes."""
        return datasets.load(self.dataset, self.images_per_class, self.seen)

    def split(self) -> Split:
        """Return the split of the images."""
        dataset = self.load_data()
        split = dataset.split(self.seed)
        return split.with_labelled(dataset, self.labelled) if self.labelled else split

    def key(self) -> str:
        """Return the name of the result in the cache.

        The key digests the values of this config, the data, and the code that its task, its encoder
        and `fit` reach. A change of another task's code leaves it as it is.
        """
        dataset = self.load_data()
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        encoder, task = ENCODERS[self.model], TASKS[self.task]
        parts = fields | {
            "dataset": dataset.name,
            "data": dataset.digest,
            "split": self.split().digest,
            "encoder": encoder.options,
            "optimizer": OPTIMIZERS[self.optimizer],
        }
        code = [
            f"training.tasks.{task.prepare.__name__}",
            *code_of(self.model),
            "training.pair_training.fit",
            "training.trainer.seed_everything",
        ]
        return cache.make_key(parts, code)

    def fit(self, end_epoch: EndEpoch) -> Fitted:
        """Train from fresh weights."""
        return fit(self, self.load_data(), self.split(), end_epoch)

    def prepare(self, encoder: keras.Model, dataset: Dataset, split: Split) -> PreparedTraining:
        """Return the compiled model of the task, its training steps and validation steps."""
        return TASKS[self.task].prepare(self, encoder, dataset, split)

    def facts(self, encoder: keras.Model) -> dict[str, Any]:
        """Return what else the record of a result holds."""
        return {"parameters": encoder.count_params(), "data": self.load_data().digest}

    def probe_images(self) -> np.ndarray:
        """Return some validation images."""
        dataset = self.load_data()
        return dataset.images[dataset.split(self.seed).validation[:NUM_PROBE_IMAGES]]

    def build_encoder(self, image_shape: tuple[int, ...]) -> keras.Model:
        """Return the encoder with fresh weights, for images of shape (height, width, channels)."""
        return build_encoder(self.model, image_shape, self.precision)

    def expected_seconds(self) -> float:
        """Return about how long the training takes if it has this machine for itself."""
        dataset = self.load_data()
        images = np.isin(dataset.labels, dataset.seen).sum()
        speed = PEAK_SHARE * machine.float32_speed()
        speed *= 2 if machine.best_precision() != "float32" else 1
        if self.steps_per_epoch:
            images = self.steps_per_epoch * self.batch_size / 2  # about two pairs for each image
        return 3.0 + self.epochs * images * ENCODERS[self.model].flop_per_image / speed


def config_of(result: TrainingResult) -> TrainingConfig:
    """Return the config of a result of this kind."""
    return TrainingConfig(**result.record["config"])


def count_steps(config: TrainingConfig) -> int:
    """Return the number of gradient steps of a training run on pairs."""
    if config.steps_per_epoch:
        return config.epochs * config.steps_per_epoch
    epoch = replace(config, epochs=1)
    return config.epochs * len(sample_training_batches(epoch, config.load_data(), config.split()))


def min_batch_size(num_classes: int) -> int:
    """Return the study's batch size, or a larger one if two pairs of each class need it."""
    return max(TrainingConfig.batch_size, 2 * num_classes)


def build_untrained_encoder(model: str, seed: int, image_shape: tuple[int, ...]) -> keras.Model:
    """Return an encoder with the initial weights that a training run of that seed starts from."""
    seed_everything(seed)
    return build_encoder(model, image_shape)


def fit(
    config: TrainingConfig,
    dataset: Dataset,
    split: Split,
    end_epoch: EndEpoch,
    weights: Sequence[np.ndarray] | None = None,
) -> Fitted:
    """Train an encoder.

    Args:
        config: A resolved config.
        dataset: The images.
        split: Which of them train and validate.
        end_epoch: Called after each epoch.
        weights: Initial weights of the encoder; None: the random ones of the config's seed.

    Returns:
        The encoder and its history.
    """
    import keras

    seed_everything(config.seed)
    encoder = config.build_encoder(dataset.images.shape[1:])
    if weights is not None:
        encoder.set_weights(weights)
    model, training_steps, validation_steps = config.prepare(encoder, dataset, split)
    # The variables are made here: `fit` would make them while it traces its step, so it would trace
    # twice and never free the first trace.
    for inputs, _ in training_steps.take(1):
        model(inputs)
    model.optimizer.build(model.trainable_variables)
    steps = config.steps_per_epoch or len(training_steps) // config.epochs
    # Several steps per execution mean fewer returns to Python. Their number must divide the steps
    # of an epoch, or an epoch would run over its end.
    model.steps_per_execution = max(n for n in range(1, min(steps, 200) + 1) if steps % n == 0)
    history: dict[str, list[float]] = {}

    def record_epoch(_: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        end_epoch(logs, encoder)

    model.fit(
        training_steps,
        epochs=config.epochs,
        steps_per_epoch=steps,
        validation_data=validation_steps,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=record_epoch),
            keras.callbacks.TerminateOnNaN(),
        ],
        shuffle=False,  # the steps are shuffled already
        verbose=0,
    )
    return Fitted(encoder, history)
