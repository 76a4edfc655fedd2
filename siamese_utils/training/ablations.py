"""What else could have been trained for unseen classes: the recipe's network with one thing changed.

And the 2019 study's network on the same split, trained as there, and gently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from siamese_utils.training.config import TrainingConfig
from siamese_utils.training.small_encoder import NUM_EPOCHS, SmallEncoderConfig

NUM_EXTRA_CLASSES = (
    SmallEncoderConfig.made_up
)  # as many classes in a step that are not seen ones, made in another way


def _change(**changes: object) -> Callable[[SmallEncoderConfig], SmallEncoderConfig]:
    return lambda step: replace(step, **changes)


def _scale_steps(times: float) -> Callable[[SmallEncoderConfig], SmallEncoderConfig]:
    """Change the number of steps; the parts in which they are shown stay of equal length."""
    return lambda step: replace(
        step, steps=max(NUM_EPOCHS, round(step.steps * times / NUM_EPOCHS) * NUM_EPOCHS)
    )


ABLATIONS: dict[str, Callable[[SmallEncoderConfig], SmallEncoderConfig]] = {
    "as in the recipe": _change(),
    "no made-up classes": _change(made_up=0),
    "turned classes, none made up": _change(made_up=0, turned=NUM_EXTRA_CLASSES),
    "contrastive loss": _change(loss="contrastive"),
    "triplet loss": _change(loss="triplet"),
    "softmax, none made up": _change(loss="softmax", made_up=0),
    "instance discrimination in a class": _change(loss="instance discrimination", made_up=0),
    "image drawn again": _change(reconstruction=20.0),
    "held near its first weights": _change(near_start=0.1),
    "a third of the steps": _scale_steps(1 / 3),
    "three times the steps": _scale_steps(3),
}


STUDY_NETWORKS = ("study's training", "gentle training")


def study_networks(step: SmallEncoderConfig) -> dict[str, TrainingConfig]:
    """Return the study's base model on the split of a step: as trained in 2019 but short, and gently."""
    own = {"dataset": step.dataset, "images_per_class": step.images_per_class}
    base = TrainingConfig(epochs=5, seed=step.seed, seen=step.seen, **own)
    gentle = replace(base, optimizer="adadelta", learning_rate=0.003, epochs=3)
    return dict(zip(STUDY_NETWORKS, (base, gentle), strict=True))


def trainings(step: SmallEncoderConfig) -> list[SmallEncoderConfig | TrainingConfig]:
    """Return all that the variants of a split train."""
    return [*(change(step) for change in ABLATIONS.values()), *study_networks(step).values()]
