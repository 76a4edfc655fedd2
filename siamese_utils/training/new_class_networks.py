"""The networks that are trained on many class splits, and with labelled images of new classes.

Each function takes the config of a small encoder, whose class split and number of labelled images of
each new class it uses, and returns the configs to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from siamese_utils.training.config import Config
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig

# Labelled images of each new class that the ensemble's networks and the base model are trained with.
NUMBERS = (20, 50)
BASE_NUMBERS = (0, 20)
BASE_EPOCHS = 5  # of the study's base model
# The study's networks that are compared on many class splits: name -> fields of the config.
STUDY_NETWORKS: dict[str, dict[str, Any]] = {
    "base model": {},
    "complex model": {"model": "complex"},
    "complex model, margin 5": {"model": "complex", "margin": 5.0},
}


def retrained(config: SmallEncoderConfig) -> Sequence[SmallEncoderConfig]:
    """Return the ensemble's networks, trained on old classes and labelled images of new ones."""
    return config.initialisations()


def without_labels(config: SmallEncoderConfig) -> Sequence[SmallEncoderConfig]:
    """Return the ensemble's networks, trained on old classes only."""
    return retrained(replace(config, labelled=0))


def last_layer(config: SmallEncoderConfig) -> Sequence[SmallEncoderConfig]:
    """Return a network trained on old classes, whose last layer is trained with labelled images."""
    return [replace(config, last_layer_only=True)]


def base_model(config: SmallEncoderConfig) -> Sequence[TrainingConfig]:
    """Return the study's base model, trained on old classes and labelled images of new ones."""
    return [study_network(config, BASE_EPOCHS, labelled=config.labelled or None)]


def study_network(split: SmallEncoderConfig, epochs: int, **fields: Any) -> TrainingConfig:
    """Return the config of a network of the study on a class split.

    Args:
        split: The class split, its images and its seed.
        epochs: Epochs to train for.
        fields: Other fields that differ from the base model's.
    """
    shared = {
        name: getattr(split, name) for name in ("seed", "dataset", "images_per_class", "seen")
    }
    return TrainingConfig(epochs=epochs, **shared | fields)


def leave_seen_classes_out(split: SmallEncoderConfig) -> list[SmallEncoderConfig]:
    """Return two class splits that each leave out half of the seen classes of a split.

    The classes that one of them leaves out are those that the other trains on.
    """
    seen = split.load_data().seen
    return [replace(split, seen=seen[start::2]) for start in (0, 1)]


def all_configs(split: SmallEncoderConfig) -> list[Config]:
    """Return the configs of all networks that are trained on a class split."""
    configs: list[Config] = []
    for number in available(split, (0, *NUMBERS)):
        configs += retrained(replace(split, labelled=number))
    for number in available(split, NUMBERS):
        configs += last_layer(replace(split, labelled=number))
    for number in available(split, BASE_NUMBERS):
        configs += base_model(replace(split, labelled=number))
    return configs


def available(split: SmallEncoderConfig, numbers: Sequence[int]) -> list[int]:
    """Return the numbers of labelled images for which each new class of a split has enough."""
    dataset = split.load_data()
    size = dataset.split(split.seed).pool_size(dataset)
    return [number for number in numbers if number <= size]
