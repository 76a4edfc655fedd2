"""What else could have been trained for unseen classes: the recipe's network with one thing changed.

And the 2019 study's network on the same split, trained as there, and gently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from siamese_utils.learning.experiment import Experiment
from siamese_utils.learning.manyclasses import EPOCHS, ManyClasses

NEW = ManyClasses.made_up  # as many classes in a step that are not seen ones, made in another way


def _with(**changes: object) -> Callable[[ManyClasses], ManyClasses]:
    return lambda step: replace(step, **changes)


def _longer(times: float) -> Callable[[ManyClasses], ManyClasses]:
    """Change the number of steps; the parts in which they are shown stay of equal length."""
    return lambda step: replace(
        step, steps=max(EPOCHS, round(step.steps * times / EPOCHS) * EPOCHS)
    )


VARIANTS: dict[str, Callable[[ManyClasses], ManyClasses]] = {
    "as in the recipe": _with(),
    "no made-up classes": _with(made_up=0),
    "turned classes, none made up": _with(made_up=0, turned=NEW),
    "contrastive loss": _with(loss="contrastive"),
    "triplet loss": _with(loss="triplet"),
    "softmax, none made up": _with(loss="softmax", made_up=0),
    "instance discrimination in a class": _with(loss="instance discrimination", made_up=0),
    "image drawn again": _with(reconstruction=20.0),
    "held near its first weights": _with(near_start=0.1),
    "a third of the steps": _longer(1 / 3),
    "three times the steps": _longer(3),
}


STUDIES = ("study's training", "gentle training")


def studies(step: ManyClasses) -> dict[str, Experiment]:
    """Return the study's base model on the split of a step: as trained in 2019 but short, and gently."""
    own = {"dataset": step.dataset, "images_per_class": step.images_per_class}
    base = Experiment(epochs=5, seed=step.seed, seen=step.seen, **own)
    gentle = replace(base, optimizer="adadelta", learning_rate=0.003, epochs=3)
    return dict(zip(STUDIES, (base, gentle), strict=True))


def trainings(step: ManyClasses) -> list[ManyClasses | Experiment]:
    """Return all that the variants of a split train."""
    return [*(change(step) for change in VARIANTS.values()), *studies(step).values()]
