"""A judge of pairs for images of one's own: fit it, ask it, keep it."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from scipy.spatial.distance import pdist
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from siamese_utils import files
from siamese_utils.images import dataset as data
from siamese_utils.learning import machine, manyclasses, models, training
from siamese_utils.learning.experiment import Experiment
from siamese_utils.learning.manyclasses import ManyClasses
from siamese_utils.measuring import baselines, recipe

MOST_CALIBRATED = 1000  # held-out images whose pairs set the probability
LARGEST = 48  # pixels: the side of an image that the recipe takes
RECIPE = "recipe"  # the model for classes that are not shown to it
FEWEST_IMAGES = 20  # of each class: a tenth is held out, and a pair needs two
ARCHITECTURE, WEIGHTS, SETTINGS = "architecture.json", "weights.npz", "verifier.json"


class Answer(NamedTuple):
    """Whether two images show one class, and the probability that they do, 0..1."""

    same: bool | np.ndarray
    probability: float | np.ndarray


class SiameseVerifier:
    """Says how far two images are apart, and how probably they show one class.

    The study's network, trained on pairs of your images, or the recipe for classes that it will
    not be shown; a tenth of them, held out, turn the distance into a probability (Platt 1999).
    """

    def __init__(
        self, model: str = "base", margin: float = 1.0, epochs: int = 10, seed: int = 0
    ) -> None:
        """Choose how to embed images. Raises ValueError.

        model: the study's encoder, a name in `experiment.MODELS`, trained with margin and epochs;
        or `recipe`, which has no use for these: outlines, gradients and small networks (see
        `measuring.recipe`), better where pairs show classes that `fit` did not see. It was tried
        on things before a ground of 0, and takes images of up to 48 x 48 pixels.
        """
        self.model, self.margin, self.epochs, self.seed = model, margin, epochs, seed
        if model != RECIPE:
            self._experiment()
        self.encoders: list[keras.Model] = []
        self.whitenings: list[recipe.Whitening] = []
        self.slope, self.intercept = 0.0, 0.0

    def fit(self, images: np.ndarray, labels: np.ndarray) -> "SiameseVerifier":
        """Train on labelled images and return the verifier.

        images: (images, h, w) or (images, h, w, channels), uint8 of 0..255 or float of 0..1;
        labels: (images,), any values that tell classes apart. Raises ValueError for anything else.
        """
        images = _as_bytes(images)
        images = images[..., np.newaxis] if images.ndim == 3 else images
        names, labels = np.unique(labels, return_inverse=True)
        _check_training_set(images, labels, names)
        classes = tuple(range(len(names)))  # all of them are seen
        dataset = data.Dataset("own", images, labels, tuple(map(str, names)), classes, unseen=())
        if self.model == RECIPE:
            _refuse_large(images)
        split = _hold_out(dataset, self.seed)
        self.encoders = []  # until it is whole: an interrupted training answers nothing
        if self.model == RECIPE:
            encoders, self.whitenings = self._fit_recipe(images[split.train], labels[split.train])
        else:
            encoders = [self._fit_study(dataset, split)]
        embed = _embedding(encoders, self.whitenings)
        held_out = images[split.validation], labels[split.validation]
        self.slope, self.intercept = _calibrate(embed(held_out[0]), held_out[1])
        self.encoders = encoders
        return self

    def distance(self, a: np.ndarray, b: np.ndarray) -> float | np.ndarray:
        """Return the Euclidean distance of two embeddings, 0 or more.

        a, b: an image each, or as many each, or one against many; their size and values as in
        `fit`. One image each gives a number, else (images,). Raises ValueError for anything else,
        RuntimeError before `fit`.
        """
        (first, single_a), (second, single_b) = self._as_batch(a, "a"), self._as_batch(b, "b")
        if len(first) != len(second) and not (single_a or single_b):
            raise ValueError(
                f"a holds {len(first)} images and b {len(second)}: give as many, or one"
            )
        embed = _embedding(self.encoders, self.whitenings)
        found = np.linalg.norm(embed(first) - embed(second), axis=1)
        return float(found[0]) if single_a and single_b else found

    def is_same(self, a: np.ndarray, b: np.ndarray) -> Answer:
        """Return whether two images show one class, and how probably; arguments as in `distance`.

        The probability is for pairs of which half show one class, and of classes that `fit` has
        seen; of others it is an extrapolation.
        """
        logit = np.asarray(self.distance(a, b)) * self.slope + self.intercept
        probability = expit(logit)
        if probability.ndim:
            return Answer(probability >= 0.5, probability)
        return Answer(bool(probability >= 0.5), float(probability))

    def save(self, folder: str | Path) -> Path:
        """Keep the verifier in a new folder, which appears whole or not at all, and return it.

        Raises FileExistsError where there is something, RuntimeError before `fit`.
        """
        self._require_fit()
        folder = Path(folder)
        if folder.exists():
            raise FileExistsError(f"{folder} is there already; choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        kept = {"model": self.model, "margin": self.margin, "epochs": self.epochs}
        kept |= {"seed": self.seed, "slope": self.slope, "intercept": self.intercept}
        text = json.dumps([json.loads(encoder.to_json()) for encoder in self.encoders])
        weights = [weight for encoder in self.encoders for weight in encoder.get_weights()]
        weights += [array for one in self.whitenings for array in (one.middle, one.transform)]
        try:
            (scratch / ARCHITECTURE).write_text(text, encoding="utf-8")
            np.savez(scratch / WEIGHTS, *weights)
            kept["sha256"] = _digest(scratch, kept)
            (scratch / SETTINGS).write_text(json.dumps(kept, indent=1), encoding="utf-8")
            scratch.chmod(0o755)
            files.move_whole(scratch, folder)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "SiameseVerifier":
        """Return a kept verifier; nothing in the folder is run as code.

        Raises FileNotFoundError, and ValueError where anything in it is not as it was saved.
        """
        folder = Path(folder)
        try:
            kept = json.loads((folder / SETTINGS).read_bytes())
        except ValueError:  # not even text
            kept = None
        if not isinstance(kept, dict) or kept.pop("sha256", "") != _digest(folder, kept):
            raise ValueError(f"{folder} is damaged or was changed: fit and save the verifier anew")
        slope, intercept = kept.pop("slope"), kept.pop("intercept")
        verifier = cls(**kept)
        verifier.slope, verifier.intercept = slope, intercept
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            weights = [arrays[f"arr_{i}"] for i in range(len(arrays))]
        for form in json.loads((folder / ARCHITECTURE).read_text(encoding="utf-8")):
            encoder = keras.models.model_from_json(json.dumps(form))
            number = len(encoder.weights)
            encoder.set_weights(weights[:number])
            verifier.encoders.append(encoder)
            weights = weights[number:]
        both = zip(weights[::2], weights[1::2], strict=True)
        verifier.whitenings = [recipe.Whitening(*one) for one in both]
        return verifier

    def _experiment(self) -> Experiment:
        return Experiment(self.model, self.margin, epochs=self.epochs, seed=self.seed)

    def _fit_study(self, dataset: data.Dataset, split: data.Split) -> keras.Model:
        """Train the study's encoder as the study does."""
        experiment = self._experiment()
        # a step wants two pairs of each class
        batch = max(experiment.batch, 2 * len(dataset.class_names))
        experiment = replace(experiment, batch=batch)
        keras.utils.set_random_seed(experiment.seed)
        shape = dataset.images.shape[1:]
        encoder = models.build_encoder(experiment.model, shape, machine.best_precision())
        prepared = training.prepare(experiment, encoder, dataset, split)
        training.fit(
            prepared,
            experiment.epochs,
            lambda logs: training.refuse_divergence(experiment.label, logs, encoder),
        )
        return encoder

    def _fit_recipe(
        self, images: np.ndarray, labels: np.ndarray
    ) -> tuple[list[keras.Model], list[recipe.Whitening]]:
        """Train the small networks, and even out what they and the other parts tell."""
        steps = ManyClasses(seed=self.seed).starts(manyclasses.STARTS)
        encoders = [manyclasses.fit(step, images, labels)[0] for step in steps]
        return encoders, recipe.fit(images, labels, _networks(encoders))

    def _require_fit(self) -> None:
        if not self.encoders:
            raise RuntimeError("this verifier knows no images yet: call fit, or load a kept one")

    def _as_batch(self, images: np.ndarray, name: str) -> tuple[np.ndarray, bool]:
        """Return images as (images, h, w, c) uint8, and whether there was one alone."""
        self._require_fit()
        shape = self.encoders[0].input_shape[1:]
        images = _as_bytes(images, name)
        singles = {shape, shape[:2]} if shape[2] == 1 else {shape}
        if images.shape in singles:
            return images.reshape(1, *shape), True
        if images.ndim > 1 and images.shape[1:] in singles:
            return images.reshape(-1, *shape), False
        wanted = " or ".join(str(one) for one in sorted(singles))
        raise ValueError(
            f"{name} must be one image of shape {wanted}, or a batch of them, not {images.shape}"
        )


def _digest(folder: Path, kept: dict[str, object]) -> str:
    """Return the SHA-256 of all that a kept verifier is: two files, and the values of the third."""
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    for name in (ARCHITECTURE, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _embedding(
    encoders: Sequence[keras.Model], whitenings: Sequence[recipe.Whitening]
) -> baselines.Embed:
    """Return the embedding of the study's encoder, or of the recipe where there are whitenings."""
    networks = _networks(encoders)
    if not whitenings:
        return networks[0]
    return baselines.to_unit_length(recipe.embedding(networks, whitenings))


def _networks(encoders: Sequence[keras.Model]) -> list[baselines.Embed]:
    return [partial(training.embed, encoder) for encoder in encoders]


def _refuse_large(images: np.ndarray) -> None:
    if max(images.shape[1:3]) > LARGEST:
        size = " x ".join(map(str, images.shape[1:3]))
        raise ValueError(
            f"the recipe takes images of up to {LARGEST} x {LARGEST}, not {size}: shrink them"
        )


def _calibrate(embeddings: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Fit the probability to the distances of all pairs of held-out images: slope and intercept.

    Same and different pairs weigh half each. They are taken for no surer than so many independent
    pairs of each kind as there are images, since pairs share these: Platt's targets are then 1 / (n +
    2) and (n + 1) / (n + 2), and no few images make it certain. Source: Platt 1999, section 2.2.
    """
    each = max(2, MOST_CALIBRATED // len(np.unique(labels)))  # so many say enough
    chosen = np.concatenate([np.flatnonzero(labels == c)[:each] for c in np.unique(labels)])
    embeddings, labels, number = embeddings[chosen], labels[chosen], len(chosen)
    distance = pdist(embeddings)
    same = pdist(labels[:, np.newaxis]) == 0
    share = np.where(same, number + 1, 1) / (number + 2)  # of a pair that is counted as the same
    weight = number * np.where(same, 1 / same.sum(), 1 / (~same).sum())
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(
        np.tile(distance, 2)[:, np.newaxis],
        np.repeat([True, False], len(distance)),
        sample_weight=np.concatenate([weight * share, weight * (1 - share)]),
    )
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _as_bytes(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Return images as uint8 of 0..255, or refuse them."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{name} must be uint8 of 0..255 or float of 0..1, not {images.dtype}")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        span = f"{images.min():g}..{images.max():g}"
        raise ValueError(f"{name} of float must lie in 0..1, not in {span}")
    return np.rint(images * 255).astype(np.uint8)


def _check_training_set(images: np.ndarray, labels: np.ndarray, names: np.ndarray) -> None:
    if images.ndim != 4:
        raise ValueError(f"images must be (images, h, w) or (images, h, w, c), not {images.shape}")
    if labels.shape != (len(images),):
        raise ValueError(f"labels must be ({len(images)},), one for each image, not {labels.shape}")
    fewest = np.bincount(labels).min()
    if len(names) < 2 or fewest < FEWEST_IMAGES:
        raise ValueError(
            f"two classes of {FEWEST_IMAGES} images at least, not {len(names)} with {fewest} in one"
        )


def _hold_out(dataset: data.Dataset, seed: int) -> data.Split:
    """Hold out a tenth of each class; there is no test set, so the rest is all for training."""
    split = dataset.split(seed)
    held_out = np.bincount(dataset.labels[split.validation], minlength=len(dataset.class_names))
    if held_out.min() < 2:
        name = dataset.class_names[held_out.argmin()]
        raise ValueError(f"class {name} has too many copies of one image to hold out a pair")
    nothing = np.array([], dtype=np.int64)
    return data.Split(np.concatenate([split.train, split.seen]), split.validation, nothing, nothing)
