"""Compare the verifier's models on a user's own classes, by cross-validation over the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, cross_val_score

from siamese_utils.data.dataset import slice_classes
from siamese_utils.training.encoders import ENCODERS
from siamese_utils.verifier import ENSEMBLE, UNTRAINED, SiameseVerifier, check_suitable

AUTO = "auto"  # name of the choice by `compare_models`
CHOICES = (AUTO, *ENCODERS, ENSEMBLE, *UNTRAINED)  # of `siamese fit --model`
MODELS = (*UNTRAINED, "base", ENSEMBLE)
FALLBACK = "base"  # if there are too few classes to compare models
NUM_FOLDS = 3
MIN_CLASSES = 2 * NUM_FOLDS  # two held-out classes in each fold
MAX_IMAGES = 60  # of each class, for the comparison


def compare_models(
    images: np.ndarray, labels: np.ndarray, **parameters: Any
) -> dict[str, float | None]:
    """Measure each of MODELS on classes that it was not fitted to.

    In each of three folds a third of the classes is held out. A model is fitted on the other classes
    and measured on the pairs of the held-out ones.

    Args:
        images: As in `SiameseVerifier.fit`.
        labels: (images,) class of each image, of MIN_CLASSES classes or more.
        parameters: Parameters of the verifier other than `model`.

    Returns:
        Model -> mean AUC over the folds, the highest first; None, at the end, if the model does not
        take images of this size or this number of classes.

    Raises:
        ValueError: There are too few classes, or the images cannot be trained on.
    """
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) < MIN_CLASSES:
        raise ValueError(
            f"{len(names)} classes are too few to compare models on held-out classes "
            f"({MIN_CLASSES} are needed)"
        )
    rows = np.random.default_rng(0).permutation(len(numbers))
    rows = slice_classes(rows, numbers, 0, MAX_IMAGES)
    scores: dict[str, float | None] = {}
    for model in MODELS:
        try:
            check_suitable(model, images.shape[1:3], len(names))
        except ValueError:
            scores[model] = None
            continue
        auc = cross_val_score(
            SiameseVerifier(model, **parameters),
            images[rows],
            numbers[rows],
            groups=numbers[rows],
            cv=GroupKFold(NUM_FOLDS),
            error_score="raise",
        )
        scores[model] = float(auc.mean())
    return dict(sorted(scores.items(), key=lambda item: -(item[1] or 0)))
