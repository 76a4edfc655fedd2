"""The tasks that an encoder is trained on: loss, samples, and what its distances can be used for.

To add a task, write a function here and add an entry to TASKS. Stored results of other tasks stay
valid. TensorFlow is imported when a task is prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese_utils.data import pairs
from siamese_utils.training.config import OPTIMIZERS

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from siamese_utils.data.dataset import Dataset, Split
    from siamese_utils.training.pair_training import TrainingConfig

STUDY_THRESHOLD = 0.5  # the study counts a pair as "different" beyond this distance
# the compiled model, the training steps of all epochs, and the validation steps
PreparedTraining = tuple["keras.Model", "tf.data.Dataset", "tf.data.Dataset"]
# (labels (batch,), distances (batch,), margin) -> losses (batch,)
PairLossFunction = Callable[[Any, Any, float], Any]


@dataclass(frozen=True)
class Task:
    """An entry of TASKS.

    Attributes:
        prepare: Function of (config, encoder, dataset, split) that returns a PreparedTraining.
        has_margin: Whether the loss has a margin.
        has_thresholds: Whether distances are compared with the margin: then the accuracies at 0.5
            and at half the margin, and D / m as a probability, are measured.
        curves: Measures of the history to plot -> their names.
    """

    prepare: Callable[..., PreparedTraining]
    has_margin: bool = True
    has_thresholds: bool = False
    curves: dict[str, str] = field(default_factory=lambda: {"loss": "loss"})


def contrastive(
    config: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare training by the contrastive loss on the distances of pairs, as in the study."""
    from siamese_utils.training import losses

    return prepare_pairs(config, encoder, dataset, split, losses.contrastive_loss)


def prepare_pairs(
    config: TrainingConfig,
    encoder: keras.Model,
    dataset: Dataset,
    split: Split,
    pair_loss: PairLossFunction,
) -> PreparedTraining:
    """Prepare training by any loss of the distances of pairs.

    The history has the measure `accuracy`, at the study's threshold, and one named as the task: the
    loss without the penalties on the weights, which Keras adds to `loss`.
    """
    import keras

    from siamese_utils.training import losses, models

    model = models.SiameseModel(encoder, dataset.images)
    model.compile(
        optimizer=build_optimizer(config),
        loss=losses.PairLoss(pair_loss, config.margin),
        metrics=[
            keras.metrics.MeanMetricWrapper(pair_loss, name=config.task, margin=config.margin),
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=STUDY_THRESHOLD),
        ],
        jit_compile=False,  # XLA is slower on a CPU here
    )
    batches = (
        sample_training_batches(config, dataset, split),
        sample_validation_batches(config, dataset, split),
    )
    return model, *(
        to_tf_dataset(
            {"images": sampled.images, "pairs": sampled.pairs},
            np.tile(sampled.different, (len(sampled), 1)),
        )
        for sampled in batches
    )


def triplet(
    config: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare the triplet loss on the images of the same steps; the triplets are formed among them."""
    from siamese_utils.training import losses, models

    model = models.Embedder(encoder, dataset.images)
    model.compile(
        optimizer=build_optimizer(config),
        loss=losses.TripletLoss(config.margin),
        jit_compile=False,
    )
    blocks = (
        sample_training_batches(config, dataset, split),
        sample_validation_batches(config, dataset, split),
    )
    return model, *(to_tf_dataset(drawn.images, dataset.labels[drawn.images]) for drawn in blocks)


def softmax(
    config: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare a classifier that names the seen classes: labels, no pairs."""
    from siamese_utils.training import models

    model = models.Classifier(encoder, dataset.images, len(dataset.seen))
    model.compile(
        optimizer=build_optimizer(config),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    rng = np.random.default_rng([config.seed, 4])
    whole = len(split.train) - len(split.train) % config.batch_size  # the rest waits for its turn
    epochs = [rng.permutation(split.train)[:whole] for _ in range(config.epochs)]
    batches = np.concatenate(epochs).reshape(-1, config.batch_size)
    position = np.searchsorted(dataset.seen, dataset.labels)  # a seen class's place among them
    held_out = split.validation[np.newaxis]
    return model, *(to_tf_dataset(rows, position[rows]) for rows in (batches, held_out))


TASKS = {
    "contrastive": Task(
        contrastive,
        has_thresholds=True,
        curves={"accuracy": "accuracy at 0.5", "contrastive": "contrastive loss"},
    ),
    "triplet": Task(triplet, curves={"loss": "triplet loss"}),
    "softmax": Task(
        softmax, has_margin=False, curves={"accuracy": "accuracy", "loss": "cross-entropy"}
    ),
}


def build_optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    """Return the optimizer of a config, with Keras's defaults except for what it names."""
    import keras

    name, changes = OPTIMIZERS[config.optimizer]
    return getattr(keras.optimizers, name)(config.learning_rate, **changes)


def sample_training_batches(
    config: TrainingConfig, dataset: Dataset, split: Split
) -> pairs.PairBatches:
    """Return the steps of all epochs; they are small, since a pair is two numbers."""
    rng = np.random.default_rng([config.seed, 2])
    arguments = (split.train, dataset.labels, config.batch_size, rng)
    if config.pair_sampling == "each epoch":
        return pairs.concatenate_batches(
            [pairs.sample_pair_batches(*arguments) for _ in range(config.epochs)]
        )
    blocks = pairs.sample_pair_batches(*arguments)
    return pairs.concatenate_batches(
        [pairs.shuffle_batches(blocks, rng) for _ in range(config.epochs)]
    )


def sample_validation_batches(
    config: TrainingConfig, dataset: Dataset, split: Split
) -> pairs.PairBatches:
    """Return the steps that the validation curve is measured on."""
    rng = np.random.default_rng([config.seed, 3])
    return pairs.sample_pair_batches(split.validation, dataset.labels, 8 * config.batch_size, rng)


def to_tf_dataset(inputs: object, targets: np.ndarray) -> tf.data.Dataset:
    """Return steps as Keras wants them, (inputs, targets): one for each row."""
    import tensorflow as tf

    steps = tf.data.Dataset.from_tensor_slices((inputs, targets)).prefetch(8)
    return steps.with_options(without_autotune())


def without_autotune() -> tf.data.Options:
    """Return the options of every pipeline here.

    There is nothing to tune, and the tuner's thread sleeps for up to a minute at a time: the end
    of a training would wait until it wakes.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return options
