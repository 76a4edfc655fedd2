"""Files of feature vectors that a user has computed, such as embeddings by a pretrained network."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FEATURES, LABELS, NAMES = "features", "labels", "names"  # the arrays of a file


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """The feature vectors of a file.

    Attributes:
        path: The file.
        features: (vectors, dimensions), as they are in the file.
        names: (vectors,) text, such as the file name of each image; the row numbers if the file has
            none.
        all_labels: (vectors,) class of each vector; None if the file has none.
    """

    path: Path
    features: np.ndarray
    names: list[str]
    all_labels: np.ndarray | None

    @property
    def labels(self) -> np.ndarray:
        """The class of each vector.

        Raises:
            ValueError: The file has none.
        """
        if self.all_labels is None:
            raise ValueError(
                f"{self.path} has no array {LABELS!r}; save the class of each vector in it"
            )
        return self.all_labels

    def summary(self) -> str:
        """Return the number and the length of the vectors."""
        number, dimensions = self.features.shape
        return f"{number:,} feature vectors of {dimensions} numbers"


def read(path: Path) -> FeatureFile:
    """Read an npz file with the arrays `features` and, if there are any, `labels` and `names`.

    An npy file of one array is read as features.

    Raises:
        ValueError: The file is damaged or of another kind, or its arrays do not fit together.
        OSError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {FEATURES: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise ValueError(
            f"{path} is no npz or npy file of numbers; save it with "
            f"np.savez(FILE, {FEATURES}=..., {LABELS}=...)"
        ) from None
    if FEATURES not in arrays:
        raise ValueError(f"{path} has no array {FEATURES!r}; it has {', '.join(arrays) or 'none'}")
    features = np.atleast_2d(arrays[FEATURES])
    if features.ndim != 2 or not features.size or features.dtype.kind not in "fiu":
        raise ValueError(
            f"{path}: {FEATURES} must be numbers, (vectors, dimensions), not "
            f"{features.dtype} of shape {features.shape}"
        )
    for name in (LABELS, NAMES):
        if name in arrays and arrays[name].shape != features.shape[:1]:
            raise ValueError(
                f"{path}: {name} must have the shape ({len(features)},), one for each vector, not "
                f"{arrays[name].shape}"
            )
    names = arrays.get(NAMES, np.arange(len(features)))
    return FeatureFile(path, features, [str(name) for name in names], arrays.get(LABELS))
