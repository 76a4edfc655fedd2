"""The tasks that an encoder is trained on: their loss, training data and metrics.

To add a task, write a function here and add an entry to TASKS. Cached results of other tasks stay
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

STUDY_THRESHOLD = 0.5  # distance above which the study classifies a pair as negative
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
        has_thresholds: Whether the margin gives distances a scale. If so, the accuracies at 0.5 and
            at half the margin are measured, and distance / margin as a probability.
        curves: Measures of the history to plot -> their names in figures.
    """

    prepare: Callable[..., PreparedTraining]
    has_margin: bool = True
    has_thresholds: bool = False
    curves: dict[str, str] = field(default_factory=lambda: {"loss": "loss"})


def contrastive(
    config: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare training with the contrastive loss on pairs, as in the study."""
    from siamese_utils.training import losses

    return prepare_pairs(config, encoder, dataset, split, losses.contrastive_loss)


def prepare_pairs(
    config: TrainingConfig,
    encoder: keras.Model,
    dataset: Dataset,
    split: Split,
    pair_loss: PairLossFunction,
) -> PreparedTraining:
    """Prepare training with any loss of the distances of pairs.

    The history has two measures besides `loss`: `accuracy`, at the study's threshold, and one that
    is named like the task: the loss without the regularisation that Keras includes in `loss`.

    Args:
        config: What to train.
        encoder: From images to embeddings.
        dataset: The images.
        split: Which of them train and validate.
        pair_loss: The loss of each pair.
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
    """Prepare training with the triplet loss, on the images that `contrastive` has in each step."""
    from siamese_utils.training import losses, models

    model = models.Embedder(encoder, dataset.images)
    model.compile(
        optimizer=build_optimizer(config),
        loss=losses.TripletLoss(config.margin),
        jit_compile=False,
    )
    batches = (
        sample_training_batches(config, dataset, split),
        sample_validation_batches(config, dataset, split),
    )
    return model, *(
        to_tf_dataset(sampled.images, dataset.labels[sampled.images]) for sampled in batches
    )


def softmax(
    config: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare training as a classifier of the seen classes, without pairs."""
    from siamese_utils.training import models

    model = models.Classifier(encoder, dataset.images, len(dataset.seen))
    model.compile(
        optimizer=build_optimizer(config),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    rng = np.random.default_rng([config.seed, 4])
    # All batches of an epoch are full; the images left out differ from epoch to epoch.
    num_images = len(split.train) - len(split.train) % config.batch_size
    epochs = [rng.permutation(split.train)[:num_images] for _ in range(config.epochs)]
    batches = np.concatenate(epochs).reshape(-1, config.batch_size)
    # The classifier numbers the seen classes from 0; the numbers of unseen classes are not used.
    labels = np.searchsorted(dataset.seen, dataset.labels)
    validation = split.validation[np.newaxis]
    return model, *(to_tf_dataset(rows, labels[rows]) for rows in (batches, validation))


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
    """Return the optimizer of a config."""
    import keras

    name, changes = OPTIMIZERS[config.optimizer]
    return getattr(keras.optimizers, name)(config.learning_rate, **changes)


def sample_training_batches(
    config: TrainingConfig, dataset: Dataset, split: Split
) -> pairs.PairBatches:
    """Sample the pairs of the training steps of all epochs."""
    rng = np.random.default_rng([config.seed, 2])
    arguments = (split.train, dataset.labels, config.batch_size, rng)
    if config.pair_sampling == "each epoch":
        return pairs.concatenate_batches(
            [pairs.sample_pair_batches(*arguments) for _ in range(config.epochs)]
        )
    batches = pairs.sample_pair_batches(*arguments)
    return pairs.concatenate_batches(
        [pairs.shuffle_batches(batches, rng) for _ in range(config.epochs)]
    )


def sample_validation_batches(
    config: TrainingConfig, dataset: Dataset, split: Split
) -> pairs.PairBatches:
    """Sample the pairs of the validation steps, eight times as many in each as in a training step."""
    rng = np.random.default_rng([config.seed, 3])
    return pairs.sample_pair_batches(split.validation, dataset.labels, 8 * config.batch_size, rng)


def to_tf_dataset(inputs: object, targets: np.ndarray) -> tf.data.Dataset:
    """Make a data set of steps (inputs, targets) for `keras.Model.fit`.

    Args:
        inputs: Arrays, or a dict of arrays, with one row for each step.
        targets: (steps, ...).
    """
    import tensorflow as tf

    steps = tf.data.Dataset.from_tensor_slices((inputs, targets)).prefetch(8)
    return steps.with_options(without_autotune())


def without_autotune() -> tf.data.Options:
    """Return the options of all `tf.data` pipelines of this package.

    Autotuning would gain nothing, and its thread sleeps for up to a minute at a time, which would
    delay the end of a training run.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return options
