"""The system of the 2019 study in Keras 3: two inputs, one shared encoder, one `fit`.

The functions that the study names keep their names; the data set, the seed and the number of epochs
are arguments here. What the study does not print is inferred from the Keras example that it probably
follows, and marked `Inferred`. The rest of the package trains the same networks several times faster,
by embedding each image once; the results of this module are the reference for that.

Source: Hou, R. (2019). Siamese network. Queensland University of Technology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers, ops, regularizers

from siamese_utils.data.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THRESHOLD = 0.5  # Inferred: a pair is called different if its distance is larger.
BATCH_SIZE = 128  # Inferred.
EPOCHS = 20
BLUE, ORANGE = "#0072B2", "#E69F00"  # training and validation, as in the study
Tensor = Any


def dataset_class(dataset: Dataset) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return the classes of the pair sets Test1 (seen), only_Test2 (unseen) and Test3 (all)."""
    return dataset.seen, dataset.unseen, dataset.classes


def data_preparation(dataset: Dataset, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Combine the published files and split them again by class, as in the study's Table 1.

    Args:
        dataset: All images, both published files combined.
        seed: Of the random split.

    Returns:
        x_train, y_train (80 % of the seen classes), x_test1, y_test1 (the other 20 %),
        x_only_test2, y_only_test2 (the unseen classes), x_test3, y_test3 (all classes). Images are
        float32 of shape (images, height, width, channels). Inferred: the split is random and
        stratified by class, Test3 is Test1 and only_Test2, and images are scaled to 0..1.
    """
    split = dataset.split(seed)
    train = np.concatenate([split.train, split.validation])
    arrays = []
    for indices in (train, split.seen, split.unseen, split.all):
        arrays += [np.float32(dataset.images[indices]) / 255, dataset.labels[indices]]
    return tuple(arrays)


def create_pairs(
    x: np.ndarray, y: np.ndarray, classes: Sequence[int], seed: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Form positive pairs of neighbours in a class and negative pairs with another class.

    Inferred: for each class and each position i there is a positive pair (image i, image i + 1) and
    a negative pair (image i, image i of a random other class), as far as the smallest class goes.

    Args:
        x: Images, (images, height, width, channels).
        y: Labels, (images,).
        classes: The classes to take images from.
        seed: Of the random other classes.

    Returns:
        Both images of each pair, two arrays of shape (pairs, height, width, channels), and the
        targets, (pairs,) float32: 0 for a positive pair, 1 for a negative pair.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(y == c) for c in classes]
    n = min(map(len, members)) - 1
    first, second, target = [], [], []
    for own, indices in enumerate(members):
        for i in range(n):
            other = (own + rng.integers(1, len(classes))) % len(classes)
            first += [indices[i], indices[i]]
            second += [indices[i + 1], members[other][i]]
            target += [0, 1]
    return [x[first], x[second]], np.float32(target)


def create_base_network(input_shape: tuple[int, ...]) -> keras.Model:
    """Build the encoder of the base model: from images to embeddings (batch, 128)."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
        ]
    )


def create_siamese_network(input_shape: tuple[int, ...]) -> keras.Model:
    """Build the encoder of the complex model: the base encoder with penalties and dropout."""
    penalties = {
        "kernel_regularizer": regularizers.L2(0.01),
        "bias_regularizer": regularizers.L1(0.01),
    }
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu", **penalties),
            layers.Dropout(0.1),
            layers.Dense(128, activation="relu"),
        ]
    )


def euclidean_distance(vectors: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the distance (batch,) of two batches of embeddings (batch, dimensions).

    The study keeps the last axis, (batch, 1), and declares it in `eucl_dist_output_shape`. Without
    that axis the targets need none, and Keras 3 infers the shape by itself.
    """
    a, b = vectors
    return ops.sqrt(ops.maximum(ops.sum(ops.square(a - b), axis=1), keras.config.epsilon()))


def contrastive_loss(y_true: Tensor, y_pred: Tensor, margin: float = 1.0) -> Tensor:
    """Compute the mean contrastive loss of a batch of targets and distances, both (batch,)."""
    pull = ops.square(y_pred)
    push = ops.square(ops.maximum(margin - y_pred, 0.0))
    return ops.mean((1.0 - y_true) * pull + y_true * push)


def testing_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the contrastive loss at margin 5."""
    return contrastive_loss(y_true, y_pred, margin=5.0)


def accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute the share of pairs (batch,) on the right side of the threshold. Inferred."""
    return ops.mean(ops.cast(ops.equal(y_true > THRESHOLD, y_pred > THRESHOLD), "float32"))


def create_model(encoder: keras.Model) -> keras.Model:
    """Build the Siamese network: two images, one encoder, their distance."""
    inputs = keras.Input(encoder.input_shape[1:]), keras.Input(encoder.input_shape[1:])
    embeddings = encoder(inputs[0]), encoder(inputs[1])
    distance = layers.Lambda(euclidean_distance, output_shape=())(embeddings)
    return keras.Model(inputs, distance)


def run_base_network(*arguments: Any, **options: Any) -> tuple[float, float, Any, list[float]]:
    """Train and test the base model; arguments and returns as in `run_network`."""
    return run_network(create_base_network, *arguments, **options)


def run_siamese_network(*arguments: Any, **options: Any) -> tuple[float, float, Any, list[float]]:
    """Train and test the complex model; arguments and returns as in `run_network`."""
    return run_network(create_siamese_network, *arguments, **options)


def run_network(
    create_network: Callable[[tuple[int, ...]], keras.Model],
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    epochs: int,
    train_sets: Sequence[int],
    test_sets: Sequence[int],
    x_validation: np.ndarray,
    y_validation: np.ndarray,
    optimizer: keras.optimizers.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor] = contrastive_loss,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[float, float, dict[str, list[float]], list[float]]:
    """Form the pairs, train a fresh network on them and measure its accuracies.

    Args:
        create_network: Builds the encoder for an input shape.
        x_train: Training images.
        y_train: Training labels.
        x_test: Test images.
        y_test: Test labels.
        epochs: Epochs of training.
        train_sets: Classes of the training and validation pairs.
        test_sets: Classes of the test pairs.
        x_validation: Images of the validation pairs; the study takes those of Test1.
        y_validation: Their labels.
        optimizer: Settings of the optimizer. A Keras 3 optimizer belongs to one model, so that each
            call trains with a copy; the study passes one optimizer to three calls.
        loss: `contrastive_loss` or `testing_loss`.
        seed: Of the pairs, the initial weights, dropout and the order of the batches.
        callbacks: Keras callbacks for `fit`.

    Returns:
        Training accuracy and test accuracy of the trained network, both 0..1; the history of `fit`
        (measure -> one value per epoch); the loss and the accuracy that Keras evaluates on the test
        pairs. The loss includes the penalties of the complex model.
    """
    keras.utils.set_random_seed(seed)
    train_pairs, train_target = create_pairs(x_train, y_train, train_sets, seed)
    test_pairs, test_target = create_pairs(x_test, y_test, test_sets, seed)
    validation = create_pairs(x_validation, y_validation, train_sets, seed)

    model = create_model(create_network(x_train.shape[1:]))
    copy = type(optimizer).from_config(optimizer.get_config())
    # There was no XLA in 2019's Keras; here it would make a step slower.
    model.compile(optimizer=copy, loss=loss, metrics=[accuracy], jit_compile=False)
    information = model.fit(
        train_pairs,
        train_target,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=validation,
        callbacks=list(callbacks),
        verbose=0,
    )
    train_distance = model.predict(train_pairs, batch_size=BATCH_SIZE, verbose=0)
    test_distance = model.predict(test_pairs, batch_size=BATCH_SIZE, verbose=0)
    score = model.evaluate(test_pairs, test_target, batch_size=BATCH_SIZE, verbose=0)
    return (
        float(accuracy(train_target, train_distance)),
        float(accuracy(test_target, test_distance)),
        information.history,
        score,
    )


def display_base_network(
    dataset: Dataset, epochs: int = EPOCHS, seed: int = 0
) -> dict[str, list[float]]:
    """Train the base model for each test set and print its results.

    Args:
        dataset: The images; all of Fashion-MNIST in the study.
        epochs: Epochs of each training run.
        seed: Of the split; the three training runs have the seeds 3 * seed, + 1 and + 2.

    Returns:
        The history of the last training run, for `plot_result`.
    """
    return _display("Base model", run_base_network, dataset, epochs, seed)


def display_siamese_network(
    dataset: Dataset, epochs: int = EPOCHS, seed: int = 0
) -> dict[str, list[float]]:
    """Train the complex model for each test set and print its results.

    Arguments and returns are those of `display_base_network`.
    """
    return _display("Siamese model", run_siamese_network, dataset, epochs, seed)


def plot_result(information: dict[str, list[float]], title: str) -> Figure:
    """Draw the accuracy and the loss of training and validation against the epoch.

    Args:
        information: The history of a training run.
        title: Of the network.

    Returns:
        Two panels; the study's Figures 2 and 3, or 4 and 5.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    panels = zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True)
    for axes, measure in panels:
        for name, color in ((measure, BLUE), (f"val_{measure}", ORANGE)):
            values = information[name]
            label = "validation" if name.startswith("val_") else "training"
            axes.plot(range(1, len(values) + 1), values, color=color, label=label)
        axes.set(title=f"{title}: {measure}", xlabel="epoch", ylabel=measure)
        axes.legend()
    return figure


def _display(
    title: str, run: Callable[..., Any], dataset: Dataset, epochs: int, seed: int
) -> dict[str, list[float]]:
    train_test, only_testing, total_class = dataset_class(dataset)
    x_train, y_train, x_test1, y_test1, *others = data_preparation(dataset, seed)
    x_only_test2, y_only_test2, x_test3, y_test3 = others
    tests = {
        "Test1": (x_test1, y_test1, train_test),
        "only_Test2": (x_only_test2, y_only_test2, only_testing),
        "Test3": (x_test3, y_test3, total_class),
    }
    print(f"-----{title}-----")
    for number, (name, (x_test, y_test, test_sets)) in enumerate(tests.items()):
        print(f"-----{name}-----")
        train_accuracy, test_accuracy, information, score = run(
            x_train,
            y_train,
            x_test,
            y_test,
            epochs,
            train_test,
            test_sets,
            x_test1,
            y_test1,
            keras.optimizers.RMSprop(),
            seed=3 * seed + number,
        )
        print(f"* Accuracy on training set: {100 * train_accuracy:0.2f}%")
        print(f"* Accuracy on test set: {100 * test_accuracy:0.2f}%")
        print(f"* Evaluation test loss: {score[0]:0.2f}")
    return information
