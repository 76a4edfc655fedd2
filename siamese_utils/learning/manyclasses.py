"""A short training that is to serve classes it never saw: on the seen ones and on made-up ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from siamese_utils.images import madeup, sources
from siamese_utils.images.dataset import Dataset
from siamese_utils.learning import store, training
from siamese_utils.learning.progress import Progress
from siamese_utils.learning.store import Run
from siamese_utils.learning.training import Found

if TYPE_CHECKING:
    import keras

STARTS = 2  # networks of the recipe, from different first weights
EPOCHS = 10  # of equal length, in which the steps are shown while they run


@dataclass(frozen=True)
class ManyClasses:
    """One training of the small encoder, by the supervised contrastive loss inside each step."""

    seed: int = 0  # of the split
    start: int = 0  # of the first weights and of what is drawn
    dataset: str = "auto"
    images_per_class: int | None = None
    seen: tuple[int, ...] | None = None  # other classes to train on than the data set's own
    every_class: bool = False  # instead: all of them, on images that no split of the data set has
    made_up: int = 8  # classes in a step that do not exist, new ones each time
    size: int = 11  # images of each class in a step
    steps: int = 100
    temperature: float = 0.2
    learning_rate: float = 0.001

    @property
    def epochs(self) -> int:
        """The parts in which it is shown."""
        return EPOCHS

    def starts(self, number: int) -> list[ManyClasses]:
        """Return the same training from so many first weights."""
        return [replace(self, start=start) for start in range(number)]

    def trainings(self, of_ladder: bool) -> list[ManyClasses]:
        """Return the trainings that judge its split: of the recipe, and of the whole ladder.

        The recipe has STARTS networks. The ladder has one more, without made-up classes, and as many
        that learn every class: these serve all splits of a seed.
        """
        recipe = self.starts(STARTS)
        if not of_ladder:
            return recipe
        every = [replace(one, every_class=True, seen=None) for one in recipe]
        return [*recipe, replace(self, made_up=0), *(one for one in every if has_further(one))]

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        choice = ", a choice of classes" if self.seen else ", every class" * self.every_class
        return f"{self.made_up} made-up classes, seed {self.seed}, start {self.start}{choice}"


def train(step: ManyClasses) -> Run:
    """Return a finished training, from the store where it is there, else trained.

    It sees what `taught` returns, and nothing else. Raises TrainingDivergedError where loss, weights
    or embeddings are no numbers.
    """

    def work() -> Found:
        encoder, history = _train(step, *taught(step))
        return {}, history, encoder.get_weights(), {}

    return training.once(step, key_of(step), work)


def load_data(step: ManyClasses) -> Dataset:
    """Return the data set of a training, with its seen classes."""
    return sources.load(step.dataset, step.images_per_class, step.seen)


def taught(step: ManyClasses) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that a training sees, and their labels.

    Where it sees every class they are the next ones of each class, as many as the data set has.
    """
    if not step.every_class:
        dataset = load_data(step)
        rows = dataset.split(step.seed).train
    else:
        dataset, rows = sources.load(step.dataset), _further(step)
    return dataset.images[rows], dataset.labels[rows]


def has_further(step: ManyClasses) -> bool:
    """Return whether there are images of every class that no split has."""
    return len(np.unique(sources.load(step.dataset).labels[_further(step)])) > 1


def _further(step: ManyClasses) -> np.ndarray:
    """Return the rows of the images of each class that follow those of the data set."""
    whole = sources.load(step.dataset)
    first = step.images_per_class or len(whole.labels)
    rows = [np.flatnonzero(whole.labels == c)[first : 2 * first] for c in whole.classes]
    return np.concatenate(rows)


def key_of(step: ManyClasses) -> str:
    """Return the name of a training in the store."""
    dataset = load_data(step)
    parts = asdict(step) | {"training": "many classes", "dataset": dataset.name}
    parts |= {"data": dataset.digest, "split": dataset.split(step.seed).digest}
    return store.make_key(parts, ["learning.manyclasses._train"])


def rebuild_encoder(run: Run, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the trained encoder of a run."""
    from siamese_utils.learning import models

    encoder = models.build_small_encoder(image_shape)
    encoder.set_weights(run.weights)
    return encoder


def _train(
    step: ManyClasses, images: np.ndarray, labels: np.ndarray
) -> tuple[keras.Model, dict[str, list[float]]]:
    import keras

    from siamese_utils.learning.objectives import to_steps

    encoder = _compiled(step, images.shape[1:])
    rng = np.random.default_rng([step.seed, 5, step.start])
    drawn = madeup.draw_steps(images, labels, rng, step.steps, step.made_up, step.size)

    def end_epoch(_: int, logs: dict[str, float]) -> None:
        training.refuse_divergence(step.label, logs, encoder)
        progress.epoch_done()

    with Progress(step.label, EPOCHS) as progress:
        history = encoder.fit(
            to_steps(*drawn),
            epochs=EPOCHS,
            steps_per_epoch=step.steps // EPOCHS,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)],
            shuffle=False,
            verbose=0,
        ).history
    training.embed(encoder, images[: training.PROBE])  # raises where it diverged
    return encoder, {"loss": [float(loss) for loss in history["loss"]]}


def _compiled(step: ManyClasses, image_shape: tuple[int, ...]) -> keras.Model:
    """Return the encoder before its first step."""
    import keras

    from siamese_utils.learning import losses, models

    keras.utils.set_random_seed(1000 * step.seed + step.start)
    encoder = models.build_small_encoder(image_shape)
    encoder.compile(
        keras.optimizers.Adam(step.learning_rate),
        losses.SupervisedContrastiveLoss(step.temperature),
        jit_compile=False,
    )
    encoder.optimizer.build(encoder.trainable_variables)  # or Keras would trace twice
    return encoder
