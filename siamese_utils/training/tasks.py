"""What a network is trained for: one function for each objective, and their names.

Each takes an experiment, its encoder, data set and split, and returns a compiled model with the
steps of all epochs and of the validation. To add one: a loss in `losses`, a function here, a line
in OBJECTIVES. What is stored of the others stays good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.data import pairs

if TYPE_CHECKING:  # TensorFlow is loaded by those alone who train
    import keras
    import tensorflow as tf

    from siamese_utils.data.dataset import Dataset, Split
    from siamese_utils.training.config import TrainingConfig

STUDY_THRESHOLD = 0.5  # the study counts a pair as "different" beyond this distance
PreparedTraining = tuple["keras.Model", "tf.data.Dataset", "tf.data.Dataset"]


def contrastive(
    experiment: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare the study's way: the distances of pairs, the contrastive loss."""
    import keras

    from siamese_utils.training import losses, models

    model = models.SiameseModel(encoder, dataset.images)
    model.compile(
        optimizer=models.build_optimizer(experiment),
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
    blocks = (
        sample_training_batches(experiment, dataset, split),
        sample_validation_batches(experiment, dataset, split),
    )
    return model, *(
        to_tf_dataset(
            {"images": drawn.images, "pairs": drawn.pairs},
            np.tile(drawn.different, (len(drawn), 1)),
        )
        for drawn in blocks
    )


def triplet(
    experiment: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare the triplet loss on the images of the same steps; the triplets are formed among them."""
    from siamese_utils.training import losses, models

    model = models.Embedder(encoder, dataset.images)
    model.compile(
        optimizer=models.build_optimizer(experiment),
        loss=losses.TripletLoss(experiment.margin),
        jit_compile=False,
    )
    blocks = (
        sample_training_batches(experiment, dataset, split),
        sample_validation_batches(experiment, dataset, split),
    )
    return model, *(to_tf_dataset(drawn.images, dataset.labels[drawn.images]) for drawn in blocks)


def softmax(
    experiment: TrainingConfig, encoder: keras.Model, dataset: Dataset, split: Split
) -> PreparedTraining:
    """Prepare a classifier that names the seen classes: labels, no pairs."""
    from siamese_utils.training import models

    model = models.Classifier(encoder, dataset.images, len(dataset.seen))
    model.compile(
        optimizer=models.build_optimizer(experiment),
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
    return model, *(to_tf_dataset(rows, position[rows]) for rows in (batches, held_out))


TASKS: dict[str, Callable[..., PreparedTraining]] = {
    "contrastive": contrastive,
    "triplet": triplet,
    "softmax": softmax,
}


# What objectives share ---------------------------------------------------------


def sample_training_batches(
    experiment: TrainingConfig, dataset: Dataset, split: Split
) -> pairs.PairBatches:
    """Return the steps of all epochs; they are small, since a pair is two numbers."""
    rng = np.random.default_rng([experiment.seed, 2])
    arguments = (split.train, dataset.labels, experiment.batch, rng)
    if experiment.pairs == "anew":
        return pairs.concatenate_batches(
            [pairs.sample_pair_batches(*arguments) for _ in range(experiment.epochs)]
        )
    blocks = pairs.sample_pair_batches(*arguments)
    return pairs.concatenate_batches(
        [pairs.shuffle_batches(blocks, rng) for _ in range(experiment.epochs)]
    )


def sample_validation_batches(
    experiment: TrainingConfig, dataset: Dataset, split: Split
) -> pairs.PairBatches:
    """Return the steps that the validation curve is measured on."""
    rng = np.random.default_rng([experiment.seed, 3])
    return pairs.sample_pair_batches(split.validation, dataset.labels, 8 * experiment.batch, rng)


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
