"""What else could have been trained for unseen classes: the ensemble's network with one change.

Beside these stands the study's base model on the same class split.
"""

from __future__ import annotations

from dataclasses import replace

from siamese_utils.training.config import Config
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig

UNCHANGED = "as in the recipe"


def ablations(config: SmallEncoderConfig) -> dict[str, SmallEncoderConfig]:
    """Return the ensemble's network on the split of a config, as it is and with one change each."""
    return {
        UNCHANGED: config,
        "no made-up classes": replace(config, num_synthetic=0),
        "contrastive loss": replace(config, loss="contrastive"),
        "softmax, none made up": replace(config, loss="softmax", num_synthetic=0),
        "three times the steps": replace(config, steps=3 * config.steps),
    }


def study_networks(config: SmallEncoderConfig) -> dict[str, TrainingConfig]:
    """Return the study's base model on the split of a config.

    It is trained as in the study but for five epochs, and by Adadelta for three epochs.
    """
    data = {"dataset": config.dataset, "images_per_class": config.images_per_class}
    base = TrainingConfig(epochs=5, seed=config.seed, seen=config.seen, **data)
    adadelta = replace(base, optimizer="adadelta", learning_rate=0.003, epochs=3)
    return {"study's training": base, "gentle training": adadelta}


def all_configs(config: SmallEncoderConfig) -> list[Config]:
    """Return all that the ablations on the split of a config train."""
    return [*ablations(config).values(), *study_networks(config).values()]
