"""A judge of pairs for images of one's own: fit it, ask it, keep it."""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import InputTags, Tags
from sklearn.utils.validation import check_is_fitted

from siamese_utils import atomic_io
from siamese_utils.data import dataset as data
from siamese_utils.data import user_images
from siamese_utils.evaluation import baselines, calibration, ensemble, pair_histogram
from siamese_utils.evaluation.baselines import Embed
from siamese_utils.evaluation.calibration import PlattScaling
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.training import machine, pair_training, small_encoder, trainer
from siamese_utils.training.config import check_choice
from siamese_utils.training.encoders import ENCODERS, build_encoder
from siamese_utils.training.encoders import small_encoder as build_small_encoder
from siamese_utils.training.pair_training import TrainingConfig, min_batch_size
from siamese_utils.training.small_encoder import SmallEncoderConfig

if TYPE_CHECKING:
    import keras

ENSEMBLE = "recipe"  # the model for classes that are not shown to it
UNTRAINED = {
    "raw pixels": baselines.pixels,
    "silhouette": baselines.foreground_mask,
}  # learn nothing
MAX_CALIBRATION_IMAGES = 1000  # held-out images whose pairs set the probability
FEW_IMAGES = 30  # held-out images: with fewer, the probability may be far off
WEIGHTS, SETTINGS = "weights.npz", "verifier.json"
# what an encoder can be exported as: name -> file or folder, and what Keras calls it
EXPORT_PATHS = {"saved_model": "encoder", "litert": "encoder.tflite"}
EXPORT_FORMATS = {"saved_model": "tf_saved_model", "litert": "litert"}


class Answer(NamedTuple):
    """Whether two images show one class, and the probability that they do, 0..1."""

    same: bool | np.ndarray
    probability: float | np.ndarray


class Neighbours(NamedTuple):
    """The nearest images of a gallery: how far, and which, nearest first; (images, k) each."""

    distance: np.ndarray
    index: np.ndarray


class SiameseVerifier(BaseEstimator):
    """Says how far two images are apart, and how probably they show one class.

    The study's network, trained on pairs of your images, or the recipe for classes that it will
    not be shown; a tenth of them, held out, turn the distance into a probability (Platt 1999).
    It is an estimator of scikit-learn, of images instead of rows.
    """

    def __init__(
        self,
        model: str = "base",
        margin: float = 1.0,
        epochs: int = 10,
        seed: int = 0,
        false_accept_rate: float | None = None,
        task: str = "contrastive",
    ) -> None:
        """Choose how to embed images; `fit` refuses what cannot be.

        model: the study's encoder, a name in `config.ENCODERS`, trained with margin and epochs;
        or one that has no use for these: `recipe`, of outlines, gradients and small networks (see
        ```evaluation.ensemble`), better where pairs show classes that `fit` did not see, tried on
        things before a ground of 0, and for images of up to 48 x 48 pixels; or `raw pixels` or
        `silhouette`, which learn nothing. false_accept_rate: the share of different pairs, of
        classes shown to `fit`, that `is_same` is to take for the same, above 0 and below 1: as it
        is on held-out images, so more or less on others; None: what is more probable counts.
        """
        self.model = model
        self.margin = margin
        self.epochs = epochs
        self.seed = seed
        self.false_accept_rate = false_accept_rate
        self.task = task

    def __sklearn_tags__(self) -> Tags:
        """Say that it takes images, and wants labels."""
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags(two_d_array=False, three_d_array=True)
        tags.target_tags.required = True
        return tags

    def fit(self, images: np.ndarray, labels: np.ndarray) -> SiameseVerifier:
        """Train on labelled images and return the verifier.

        images: (images, h, w) or (images, h, w, channels), uint8 of 0..255 or float of 0..1;
        labels: (images,), any values that tell classes apart. Raises ValueError for anything else.
        """
        self._refuse_parameters()
        images, labels, names = user_images.check_training_set(images, labels)
        _check_size(images.shape[1:3], self.model)
        if self.model == ENSEMBLE and len(names) > user_images.MAX_CLASSES:
            raise ValueError(
                f"the recipe takes {user_images.MAX_CLASSES} classes at most, not {len(names)}: each step of its "
                "training holds images of all"
            )
        classes = tuple(range(len(names)))  # all of them are seen
        dataset = data.Dataset("own", images, labels, tuple(map(str, names)), classes, unseen=())
        split = user_images.hold_out(dataset, self.seed)
        training_data = images[split.train], labels[split.train]
        self._forget()  # a verifier whose training was interrupted must not answer
        networks, whitenings = [], []
        if self.model == ENSEMBLE:
            first = SmallEncoderConfig(seed=self.seed)
            for config in first.initialisations(small_encoder.NUM_INITIALISATIONS):
                fit = partial(small_encoder.fit, config, *training_data)
                networks.append(trainer.run_fit(config, fit).encoder)
            whitenings = ensemble.fit(*training_data, _as_functions(networks))
        elif self.model in ENCODERS:
            user_images.warn_if_unbalanced(training_data[1])
            config = replace(
                self._config(),
                precision=machine.best_precision(),
                batch_size=min_batch_size(len(names)),
            )
            fit = partial(pair_training.fit, config, dataset, split)
            networks = [trainer.run_fit(config, fit).encoder]
        precision = machine.best_precision() if self.model in ENCODERS else "float32"
        self._keep(networks, whitenings, images.shape[1:], precision)
        try:
            self._calibrate_on(images[split.validation], labels[split.validation])
        except BaseException:  # Ctrl-C too
            self._forget()
            raise
        return self

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return the embeddings of images: (images, dimensions) float32.

        images: one, or several, of size and values as in `fit`. Raises ValueError for anything
        else, NotFittedError before `fit`, as all below do.
        """
        return self._embed(self._as_batch(images, "images")[0])

    def distance(self, a: np.ndarray, b: np.ndarray) -> float | np.ndarray:
        """Return the Euclidean distance of two embeddings, 0 or more.

        a, b: an image each, or as many each, or one against many. One image each gives a number,
        else (images,).
        """
        (first, single_a), (second, single_b) = self._as_batch(a, "a"), self._as_batch(b, "b")
        if len(first) != len(second) and not (single_a or single_b):
            raise ValueError(
                f"a holds {len(first)} images and b {len(second)}: give as many, or one"
            )
        found = np.linalg.norm(self._embed(first) - self._embed(second), axis=1)
        return float(found[0]) if single_a and single_b else found

    def is_same(self, a: np.ndarray, b: np.ndarray) -> Answer:
        """Return whether two images show one class, and how probably; arguments as in `distance`.

        The probability is for pairs of which half show one class, and of classes that `fit` has
        seen; of others it is an extrapolation, unless `calibrate` was given pairs of them.
        """
        distance = np.asarray(self.distance(a, b))
        stated, same = self.probability_(distance), distance <= self.threshold_
        return Answer(same, stated) if distance.ndim else Answer(bool(same), float(stated))

    def calibrate(self, a: np.ndarray, b: np.ndarray, same: np.ndarray) -> SiameseVerifier:
        """Set probability and threshold by pairs of your own, such as of classes not in `fit`.

        a, b: as many images each; same: (pairs,), whether they show one class, some of each kind.
        """
        distance, same = np.atleast_1d(self.distance(a, b)), np.atleast_1d(same).astype(bool)
        if same.shape != distance.shape or same.all() or not same.any():
            raise ValueError(f"same must say of {len(distance)} pairs whether, some of each kind")
        self._set_probability(distance, same, min(same.sum(), (~same).sum()))
        return self

    def nearest(self, images: np.ndarray, gallery: np.ndarray, k: int = 1) -> Neighbours:
        """Return the k nearest images of a gallery for each image.

        gallery: images, or what `embed` returned for them.
        """
        known = np.asarray(gallery) if np.ndim(gallery) == 2 else self.embed(gallery)
        if not 0 < k <= len(known):
            raise ValueError(f"k must be 1 or more and at most {len(known)}, not {k}")
        return Neighbours(
            *NearestNeighbors(n_neighbors=k).fit(known).kneighbors(self.embed(images))
        )

    def evaluate(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Return figures of merit on all pairs of labelled images, 0..1 but for the log-loss.

        Each class and each two classes weigh the same; of more than 60 classes, 60 are drawn. Of
        images that `fit` has seen they would be flattered. The accuracy is that of `is_same`; log-loss,
        Brier score and confidence are of the probability, see ```evaluation.calibration`.
        """
        found = self._count(images, labels)
        curve = found.curve_of_classes(found.classes)
        return calibration.CalibrationTest(self.probability_, found, found.classes).scores() | {
            "AUC": curve.auc,
            "EER": curve.equal_error_rate,
            "accuracy": curve.accuracy(self.threshold_),
            "true accepts at 1 %": curve.tar_at_far(0.01),
        }

    def score(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Return the AUC on all pairs, as `evaluate` does: 0.5 is chance, 1 perfect."""
        found = self._count(images, labels)
        return found.curve_of_classes(found.classes).auc

    def save(self, folder: str | Path) -> Path:
        """Keep the verifier in a new folder, which appears whole or not at all, and return it.

        Raises FileExistsError where there is something.
        """
        check_is_fitted(self)
        weights = [weight for encoder in self.encoders_ for weight in encoder.get_weights()]
        weights += [array for one in self.whitenings_ for array in (one.middle, one.transform)]
        with atomic_io.create_folder_atomically(Path(folder)) as scratch:
            np.savez(scratch / WEIGHTS, *weights)
            kept = self._told()
            text = json.dumps(kept | {"sha256": _digest(scratch, kept)}, indent=1)
            (scratch / SETTINGS).write_text(text, encoding="utf-8")
        return Path(folder)

    def export(self, folder: str | Path, form: str = "saved_model") -> Path:
        """Write the encoder for other programs into a new folder, and return it.

        form: `saved_model`, TensorFlow's, a folder `encoder`; or `litert`, for phones and small
        devices, a file ```encoder.tflite`. Images (n, h, w, c) uint8 go in, embeddings (n, 128)
        float32 come out, computed in float32: a verifier fitted in bfloat16 has distances that
        differ by up to some percent. ```verifier.json` beside it has the threshold. Raises
        FileExistsError, and ValueError for models that are more, or less, than one network.
        """
        check_is_fitted(self)
        check_choice("form", form, EXPORT_PATHS)
        if self.fitted_["model"] not in ENCODERS:
            raise ValueError(
                f"{self.fitted_['model']} is no single network; of {', '.join(ENCODERS)} each is one"
            )

        # LiteRT computes in float32 alone
        encoder = build_encoder(self.fitted_["model"], self.shape_, "float32")
        encoder.set_weights(self.encoders_[0].get_weights())
        with atomic_io.create_folder_atomically(Path(folder)) as scratch:
            encoder.export(scratch / EXPORT_PATHS[form], format=EXPORT_FORMATS[form], verbose=False)
            text = json.dumps(self._told(), indent=1)
            (scratch / SETTINGS).write_text(text, encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> SiameseVerifier:
        """Return a kept verifier; only numbers are read, and nothing in the folder is run as code.

        Raises FileNotFoundError, and ValueError where anything in it is not as it was saved.
        """
        folder = Path(folder)
        kept, weights = _read(folder)
        try:
            return cls._rebuild(kept, weights)
        except (ValueError, TypeError, KeyError, MemoryError, OverflowError) as error:
            raise ValueError(f"{folder} holds no verifier of this version: {error}") from None

    @classmethod
    def _rebuild(cls, kept: dict[str, Any], weights: list[np.ndarray]) -> SiameseVerifier:
        """Return the verifier of what was kept, which may be a stranger's."""
        verifier = cls(**kept["parameters"])
        verifier._refuse_parameters()
        height, width, _ = shape = tuple(int(size) for size in kept["shape"])
        user_images.check_image_shape(shape)
        _check_size((height, width), verifier.model)
        networks = []
        for build in verifier._builders(shape, kept["precision"]):
            encoder = build()
            number = len(encoder.weights)
            encoder.set_weights(weights[:number])
            networks.append(encoder)
            weights = weights[number:]
        both = zip(weights[::2], weights[1::2], strict=True)
        whitenings = [ensemble.Whitening(*one) for one in both]
        verifier._keep(networks, whitenings, shape, kept["precision"])
        verifier.probability_ = PlattScaling(**kept["probability"])
        verifier.threshold_ = kept["threshold"]
        if not np.isfinite([*asdict(verifier.probability_).values(), verifier.threshold_]).all():
            raise ValueError("its probability is no number")
        return verifier

    def _refuse_parameters(self) -> None:
        check_choice("model", self.model, (*ENCODERS, ENSEMBLE, *UNTRAINED))
        if self.model in ENCODERS:
            self._config()
        if not (isinstance(self.seed, int | np.integer) and self.seed >= 0):
            raise ValueError(f"seed must be a whole number of 0 or more, not {self.seed!r}")
        rate = self.false_accept_rate
        if rate is not None and not 0 < rate < 1:
            raise ValueError(f"false_accept_rate must lie between 0 and 1, not at {rate}")

    def _config(self) -> TrainingConfig:
        return TrainingConfig(
            self.model, self.margin, epochs=self.epochs, seed=self.seed, task=self.task
        )

    def _builders(self, shape: Sequence[int], precision: str) -> list[Callable[[], keras.Model]]:
        """Return what builds each of its networks, with fresh weights."""
        if self.model in UNTRAINED:
            return []

        if self.model == ENSEMBLE:
            return [partial(build_small_encoder, tuple(shape))] * small_encoder.NUM_INITIALISATIONS
        return [partial(build_encoder, self.model, tuple(shape), precision)]

    def _told(self) -> dict[str, Any]:
        """Return all that it is, beside weights."""
        kept = {"parameters": self.fitted_, "shape": self.shape_, "precision": self.precision_}
        return kept | {"probability": asdict(self.probability_), "threshold": self.threshold_}

    def _keep(
        self,
        networks: list[keras.Model],
        whitenings: list[ensemble.Whitening],
        shape: Sequence[int],
        precision: str,
    ) -> None:
        """Keep what was fitted, but for the probability."""
        self.encoders_, self.whitenings_ = networks, whitenings
        self.shape_, self.precision_ = tuple(shape), precision
        # what is set later waits for the next `fit`
        self.fitted_ = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self.get_params().items()
        }

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _embed(self, images: np.ndarray) -> np.ndarray:
        networks = _as_functions(self.encoders_)
        if self.whitenings_:
            embed = baselines.to_unit_length(ensemble.embed_with(networks, self.whitenings_))
        elif networks:
            [embed] = networks
        else:
            embed = baselines.to_unit_length(UNTRAINED[self.fitted_["model"]])
        return embed(images)

    def _calibrate_on(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Set the probability by all pairs of held-out images; so many say enough."""
        each = max(2, MAX_CALIBRATION_IMAGES // len(np.unique(labels)))
        rows = [np.flatnonzero(labels == c)[:each] for c in np.unique(labels)]
        chosen = np.concatenate(rows)
        if len(chosen) < FEW_IMAGES:
            warnings.warn(
                f"the probability rests on {len(chosen)} held-out images alone; more images, or "
                "`calibrate` with pairs of your own, make it surer",
                stacklevel=3,
            )
        same = pdist(labels[chosen, np.newaxis]) == 0
        self._set_probability(pdist(self._embed(images[chosen])), same, len(chosen))

    def _set_probability(self, distance: np.ndarray, same: np.ndarray, number: int) -> None:
        """Set probability and threshold by judged pairs; number: as in `calibration.fit`."""
        self.probability_ = calibration.fit(distance, same, number)
        self.threshold_ = self.probability_.threshold
        if not self.probability_.slope:
            warnings.warn("pairs of one class are no nearer than others", stacklevel=4)
        if (rate := self.fitted_["false_accept_rate"]) is None:
            return
        different = np.sort(distance[~same])
        allowed = int(rate * len(different))  # so many of them may be accepted
        if not allowed:
            warnings.warn(
                f"{len(different)} pairs of two classes are too few to tell a rate of {rate:g}",
                stacklevel=4,
            )
        # Midway to the next smaller distance, since a distance may be rounded otherwise in another
        # batch. Below 0, so that no pair is accepted, if the first one that may not be has distance 0.
        first = float(different[allowed])
        below = distance[distance < first]
        self.threshold_ = (first + float(below.max(initial=0))) / 2 if first > 0 else -1.0

    def _count(self, images: np.ndarray, labels: np.ndarray) -> PairHistogram:
        """Count all pairs of labelled images by their distance."""
        embeddings = self.embed(images)
        names, labels = user_images.encode_labels(labels, len(embeddings))
        if len(names) > user_images.MAX_CLASSES:
            drawn = np.random.default_rng(self.seed).choice(
                len(names), user_images.MAX_CLASSES, replace=False
            )
            chosen = np.isin(labels, drawn)
            embeddings, (names, labels) = (
                embeddings[chosen],
                np.unique(labels[chosen], return_inverse=True),
            )
        if len(names) < 2 or np.bincount(labels).min() < 2:
            raise ValueError("it takes two classes, and two images of each")
        return pair_histogram.count_pairs(
            embeddings, labels, pair_histogram.choose_bin_width(embeddings)
        )

    def _as_batch(self, images: np.ndarray, name: str) -> tuple[np.ndarray, bool]:
        """Return images as (images, h, w, c) uint8, and whether there was one alone."""
        check_is_fitted(self)
        shape = self.shape_
        images = user_images.to_uint8(images, name)
        singles = {shape, shape[:2]} if shape[2] == 1 else {shape}
        if images.shape in singles:
            return images.reshape(1, *shape), True
        if images.ndim > 1 and images.shape[1:] in singles:
            return images.reshape(-1, *shape), False
        wanted = " or ".join(str(one) for one in sorted(singles))
        raise ValueError(
            f"{name} must be one image of shape {wanted}, or a batch of them, not {images.shape}"
        )


def _read(folder: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the values and the weights of a kept verifier. Raises ValueError where it was changed."""
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no verifier: there is no file {name}")
    try:
        kept = json.loads((folder / SETTINGS).read_bytes())
    except (ValueError, RecursionError):  # not even text
        kept = None
    if not isinstance(kept, dict) or kept.pop("sha256", "") != _digest(folder, kept):
        raise ValueError(f"{folder} is damaged or was changed: fit and save the verifier anew")
    try:
        weights = _read_weights(folder / WEIGHTS)
    except (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"{folder / WEIGHTS} holds no weights: {error}") from None
    return kept, weights


def _read_weights(path: Path) -> list[np.ndarray]:
    with zipfile.ZipFile(path) as packed:  # as large as the file, and no larger
        if any(one.compress_type != zipfile.ZIP_STORED for one in packed.infolist()):
            raise ValueError("they are compressed, which no verifier's are")
    with np.load(path, allow_pickle=False) as arrays:
        weights = [arrays[f"arr_{i}"] for i in range(len(arrays))]
    if not all(np.isfinite(weight).all() for weight in weights):
        raise ValueError("they are no numbers")
    return weights


def _digest(folder: Path, kept: dict[str, Any]) -> str:
    """Return the SHA-256 of all that a kept verifier is: its weights and its values."""
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    digest.update((folder / WEIGHTS).read_bytes())
    return digest.hexdigest()


def _as_functions(networks: Sequence[keras.Model]) -> list[Embed]:
    return [partial(trainer.embed, network) for network in networks]


def _check_size(sides: tuple[int, ...], model: str) -> None:
    size = " x ".join(map(str, sides))
    smallest, largest = user_images.MIN_SIDE, user_images.MAX_ENSEMBLE_SIDE
    if min(sides) < (1 if model in UNTRAINED else smallest):
        raise ValueError(f"images must be {smallest} x {smallest} or larger, not {size}")
    if model == ENSEMBLE and max(sides) > largest:
        raise ValueError(
            f"the recipe takes images of up to {largest} x {largest}, not {size}: shrink them"
        )
