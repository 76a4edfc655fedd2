"""A verifier for a user's own images: whether two of them show one class, and how probably."""

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
from siamese_utils.data import user_images
from siamese_utils.data.dataset import Dataset, Split
from siamese_utils.data.image_files import Reading
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

ENSEMBLE = "ensemble"  # model name of `evaluation.ensemble`
UNTRAINED = {
    "raw pixels": baselines.pixels,
    "foreground mask": baselines.foreground_mask,
    "HOG": ensemble.embed_in_blocks(ensemble.hog_features),
}
FEATURES = "features"  # model name of feature vectors that the user has computed
MAX_CALIBRATION_IMAGES = 1000  # their pairs suffice to fit the probability
# Images of each class that a verifier keeps for `add_classes`: so many training images, and as many
# held-out ones.
MEMORY_IMAGES = 100
ADDED_EPOCHS = 5  # of the study's networks, when classes are added
FEW_IMAGES = 30  # held-out images; with fewer, the probability is unreliable
WEIGHTS, SETTINGS = "weights.npz", "verifier.json"  # the files of a saved verifier
# export format -> file or folder that is written, and its name in Keras
EXPORT_PATHS = {"saved_model": "encoder", "litert": "encoder.tflite"}
EXPORT_FORMATS = {"saved_model": "tf_saved_model", "litert": "litert"}


class Answer(NamedTuple):
    """The answer for one pair of images, or for several.

    Attributes:
        same: Whether the two images show one class.
        probability: The probability that they do, 0..1.
    """

    same: bool | np.ndarray
    probability: float | np.ndarray


class Neighbours(NamedTuple):
    """The nearest images of a gallery, nearest first.

    Attributes:
        distance: (images, k) distances.
        index: (images, k) row numbers in the gallery.
    """

    distance: np.ndarray
    index: np.ndarray


class Memory(NamedTuple):
    """The images that a verifier keeps, so that it does not forget old classes when it learns new ones.

    Attributes:
        images: (images, height, width, channels) uint8, or (vectors, dimensions) float32.
        labels: (images,) int, indices into `classes_`.
        held_out: (images,) bool, whether an image is for calibration and not for training.
    """

    images: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray


class SiameseVerifier(BaseEstimator):
    """A scikit-learn estimator of whether two images show one class.

    The verifier embeds images and compares embeddings by Euclidean distance. A tenth of the
    training images is held out to turn distances into probabilities (Platt 1999).

    Attributes:
        encoders_: The trained networks.
        whitenings_: The whitening of each part of the ensemble; empty for other models.
        shape_: (height, width, channels) of the images; (dimensions,) of feature vectors.
        classes_: The names of the classes, as text.
        memory_: Some of the training images and of the held-out images.
        background_: The background of the training images, `black` or `white`; images on white are
            inverted for models that expect a background of 0.
        reading_: How the training images were read from files; None if they were not.
        precision_: Keras dtype policy of the study's encoder.
        fitted_: The parameters at the time of `fit`.
        probability_: The calibration: a function of distances.
        threshold_: Distance up to which a pair counts as one class.
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
        """Store the parameters; `fit` checks them.

        Args:
            model: How images are embedded. A name in `encoders.ENCODERS` is a network of the study,
                trained on pairs. `ensemble` is the ensemble of `evaluation.ensemble`, which is better
                for classes that are not in the training images; it takes images of up to
                48 x 48 pixels, and was tested on objects on a background of 0. `raw pixels`,
                `foreground mask` and `HOG` (histograms of oriented gradients) are not trained.
                `features` takes feature vectors, (vectors, dimensions), in the place of images, such
                as embeddings by a pretrained network, and compares them by cosine.
            margin: Margin of the loss, above 0; for the study's networks.
            epochs: Passes over the training pairs; for the study's networks.
            seed: Seed of the split, the pairs and the initial weights.
            false_accept_rate: Share of pairs of two classes that `is_same` may accept, above 0 and
                below 1. It is met on held-out images of the training classes, so approximately on
                others. None: `is_same` gives the more probable answer.
            task: A name in `tasks.TASKS`; for the study's networks.
        """
        self.model = model
        self.margin = margin
        self.epochs = epochs
        self.seed = seed
        self.false_accept_rate = false_accept_rate
        self.task = task

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags: the input is images, and labels are required."""
        tags = super().__sklearn_tags__()
        is_features = self.model == FEATURES
        tags.input_tags = InputTags(two_d_array=is_features, three_d_array=not is_features)
        tags.target_tags.required = True
        return tags

    def fit(self, images: np.ndarray, labels: np.ndarray) -> SiameseVerifier:
        """Train the verifier on labelled images and return it.

        Args:
            images: (images, height, width) or (images, height, width, channels), uint8 of 0..255 or
                float of 0..1.
            labels: (images,) class of each image, of any type.

        Raises:
            ValueError: A parameter is invalid, or the images or labels cannot be trained on.
        """
        self._check_parameters()
        if self.model == FEATURES:
            images, labels, names = user_images.check_features(images, labels)
        else:
            images, labels, names = user_images.check_training_set(images, labels)
        check_suitable(self.model, images.shape[1:3], len(names))
        dataset = _as_dataset(images, labels, names)
        split = user_images.hold_out(dataset, self.seed)
        self._reset()  # so that a verifier whose training is interrupted counts as not fitted
        try:
            self._train(dataset, split, self.epochs, weights=None)
        except BaseException:  # Ctrl-C too
            self._reset()
            raise
        return self

    def add_classes(self, images: np.ndarray, labels: np.ndarray) -> SiameseVerifier:
        """Teach a fitted verifier new classes from a few labelled images, and return it.

        Training goes on from the present weights, on these images and on the images that the
        verifier keeps of each old class, with as many of each class. It takes seconds. Twenty images
        of a class or more are recommended; a tenth of them is then held out for the probability.

        Args:
            images: As in `embed`, two or more of each class.
            labels: (images,) class of each image. A name that the verifier knows adds to that class.

        Raises:
            ValueError: The images or labels cannot be trained on.
            NotFittedError: The verifier is not fitted.
        """
        images, _ = self._as_batch(images, "images")
        given, numbers = user_images.encode_labels(labels, len(images))
        if np.bincount(numbers).min() < 2:
            raise ValueError("add_classes needs two images or more of each class")
        names = [*self.classes_, *(n for n in map(str, given) if n not in self.classes_)]
        check_suitable(self.fitted_["model"], self.shape_[:2], len(names))
        memory = self.memory_
        added = np.array([names.index(str(name)) for name in given])[numbers]
        dataset = _as_dataset(
            np.concatenate([memory.images, images]), np.concatenate([memory.labels, added]), names
        )
        held_out = np.concatenate([memory.held_out, _hold_out_tenth(added, self.fitted_["seed"])])
        none = np.array([], dtype=np.int64)
        split = Split(np.flatnonzero(~held_out), np.flatnonzero(held_out), none, none)
        weights = [encoder.get_weights() for encoder in self.encoders_]
        before = dict(vars(self))
        parameters = self.get_params()
        try:
            self.set_params(**self.fitted_)  # a parameter that was set later does not count
            self._train(dataset, split, ADDED_EPOCHS, weights)
        except BaseException:  # Ctrl-C too; the verifier is as before
            vars(self).update(before)
            raise
        finally:
            self.set_params(**parameters)
        return self

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Compute the embeddings of images.

        Args:
            images: One image or several, in the size and the values of those in `fit`.

        Returns:
            (images, dimensions) float32.

        Raises:
            ValueError: The images have another shape or type.
            NotFittedError: The verifier is not fitted; all methods below raise this too.
        """
        return self._embed(self._as_batch(images, "images")[0])

    def distance(self, a: np.ndarray, b: np.ndarray) -> float | np.ndarray:
        """Compute the Euclidean distance between embeddings.

        Args:
            a: One image or several, as in `embed`.
            b: One image or as many as `a`; any number if `a` is one image.

        Returns:
            A number if both are one image, otherwise (images,).
        """
        (first, single_a), (second, single_b) = self._as_batch(a, "a"), self._as_batch(b, "b")
        if len(first) != len(second) and not (single_a or single_b):
            raise ValueError(
                f"a holds {len(first)} images and b {len(second)}: give the same number, or one image"
            )
        distances = np.linalg.norm(self._embed(first) - self._embed(second), axis=1)
        return float(distances[0]) if single_a and single_b else distances

    def is_same(self, a: np.ndarray, b: np.ndarray) -> Answer:
        """Return whether two images show one class, and how probably.

        The probability assumes that half of the pairs show one class, and that the classes were in
        the training images. For pairs of other classes, call `calibrate` first.

        Args:
            a: As in `distance`.
            b: As in `distance`.
        """
        distance = np.asarray(self.distance(a, b))
        probability, same = self.probability_(distance), distance <= self.threshold_
        if distance.ndim:
            return Answer(same, probability)
        return Answer(bool(same), float(probability))

    def calibrate(self, a: np.ndarray, b: np.ndarray, same: np.ndarray) -> SiameseVerifier:
        """Fit probability and threshold to labelled pairs, such as pairs of new classes.

        Args:
            a: The first image of each pair.
            b: The second image of each pair.
            same: (pairs,) whether the two show one class; both values must occur.
        """
        distance, same = np.atleast_1d(self.distance(a, b)), np.atleast_1d(same).astype(bool)
        if same.shape != distance.shape or same.all() or not same.any():
            raise ValueError(
                f"same must hold {len(distance)} values, one for each pair, and some of each kind"
            )
        self._set_probability(distance, same, min(same.sum(), (~same).sum()))
        return self

    def nearest(self, images: np.ndarray, gallery: np.ndarray, k: int = 1) -> Neighbours:
        """Return the k nearest images of a gallery for each image.

        Args:
            images: As in `embed`.
            gallery: Images, or the embeddings that `embed` returned for them.
            k: How many, at most the size of the gallery.
        """
        check_is_fitted(self)
        # The embedding of an embedding of feature vectors is the same again.
        are_embeddings = np.ndim(gallery) == 2 and self.fitted_["model"] != FEATURES
        embeddings = np.asarray(gallery) if are_embeddings else self.embed(gallery)
        if not 0 < k <= len(embeddings):
            raise ValueError(f"k must be 1 or more and at most {len(embeddings)}, not {k}")
        index = NearestNeighbors(n_neighbors=k).fit(embeddings)
        return Neighbours(*index.kneighbors(self.embed(images)))

    def evaluate(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Compute metrics on all pairs of labelled images.

        Each class, and each pair of classes, has the same weight. If there are more than 60
        classes, 60 are sampled. Images of the training set would give better values than new ones.

        Args:
            images: As in `embed`.
            labels: (images,) class of each image.

        Returns:
            AUC, equal error rate, accuracy of `is_same`, true accept rate at a false accept rate of
            1 %, and the scores of `calibration.CalibrationTest`. All are 0..1 except the log-loss.
        """
        pairs = self._count(images, labels)
        curve = pairs.curve_of_classes(pairs.classes)
        return calibration.CalibrationTest(self.probability_, pairs, pairs.classes).scores() | {
            "AUC": curve.auc,
            "EER": curve.equal_error_rate,
            "accuracy": curve.accuracy(self.threshold_),
            "true accepts at 1 %": curve.tar_at_far(0.01),
        }

    def score(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Return the AUC on all pairs, as `evaluate` does: 0.5 is chance, 1 is perfect."""
        pairs = self._count(images, labels)
        return pairs.curve_of_classes(pairs.classes).auc

    def save(self, folder: str | Path) -> Path:
        """Save the verifier in a new folder, completely or not at all, and return the folder.

        Raises:
            FileExistsError: The folder exists.
        """
        check_is_fitted(self)
        weights = [weight for encoder in self.encoders_ for weight in encoder.get_weights()]
        weights += [array for w in self.whitenings_ for array in (w.middle, w.transform)]
        weights += self.memory_
        with atomic_io.create_folder_atomically(Path(folder)) as scratch:
            np.savez(scratch / WEIGHTS, *weights)
            values = self._settings()
            text = json.dumps(values | {"sha256": _digest(scratch, values)}, indent=1)
            (scratch / SETTINGS).write_text(text, encoding="utf-8")
        return Path(folder)

    def export(self, folder: str | Path, form: str = "saved_model") -> Path:
        """Export the encoder for other programs into a new folder, and return the folder.

        The encoder maps images (images, height, width, channels) uint8 to embeddings (images, 128)
        float32, and computes in float32. If the verifier was fitted in bfloat16, its distances
        differ from those of the export by up to some percent. The file `verifier.json` has the
        threshold.

        Args:
            folder: The new folder.
            form: `saved_model`, a TensorFlow SavedModel in the folder `encoder`, or `litert`, a file
                `encoder.tflite` for phones and small devices.

        Raises:
            FileExistsError: The folder exists.
            ValueError: The format is unknown, or the model is not a single network.
        """
        check_is_fitted(self)
        check_choice("form", form, EXPORT_PATHS)
        if self.fitted_["model"] not in ENCODERS:
            raise ValueError(
                f"model {self.fitted_['model']!r} is not a single network and cannot be exported; "
                f"fit one of {', '.join(ENCODERS)}"
            )

        # LiteRT computes in float32 only.
        encoder = build_encoder(self.fitted_["model"], self.shape_, "float32")
        encoder.set_weights(self.encoders_[0].get_weights())
        with atomic_io.create_folder_atomically(Path(folder)) as scratch:
            encoder.export(scratch / EXPORT_PATHS[form], format=EXPORT_FORMATS[form], verbose=False)
            text = json.dumps(self._settings(), indent=1)
            (scratch / SETTINGS).write_text(text, encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> SiameseVerifier:
        """Load a saved verifier. No code in the folder is run: only numbers and JSON are read.

        Raises:
            FileNotFoundError: The folder holds no verifier.
            ValueError: A file is damaged, was changed, or is of another version.
        """
        folder = Path(folder)
        values, weights = _read(folder)
        try:
            return cls._rebuild(values, weights)
        except (ValueError, TypeError, KeyError, MemoryError, OverflowError) as error:
            raise ValueError(f"{folder} holds no verifier of this version: {error}") from None

    @classmethod
    def _rebuild(cls, values: dict[str, Any], weights: list[np.ndarray]) -> SiameseVerifier:
        """Return the verifier with these saved values, which may come from an untrusted source."""
        verifier = cls(**values["parameters"])
        verifier._check_parameters()
        shape = tuple(int(size) for size in values["shape"])
        if len(shape) != (1 if verifier.model == FEATURES else 3):
            raise ValueError(f"model {verifier.model!r} does not fit the shape {shape}")
        if verifier.model != FEATURES:
            user_images.check_image_shape(shape)
        check_suitable(verifier.model, shape[:2], len(values["classes"]))
        *weights, memory = *weights[:-3], Memory(*weights[-3:])
        _check_memory(memory, shape, values["classes"])
        networks = []
        for build in verifier._builders(shape, values["precision"]):
            encoder = build()
            number = len(encoder.weights)
            encoder.set_weights(weights[:number])
            networks.append(encoder)
            weights = weights[number:]
        middles_and_transforms = zip(weights[::2], weights[1::2], strict=True)
        whitenings = [ensemble.Whitening(*arrays) for arrays in middles_and_transforms]
        verifier._set_fitted(networks, whitenings, shape, values["precision"])
        verifier.classes_, verifier.memory_ = values["classes"], memory
        verifier.probability_ = PlattScaling(**values["probability"])
        verifier.threshold_ = values["threshold"]
        verifier.background_ = values["background"]
        check_choice("background", verifier.background_, ("black", "white"))
        verifier.reading_ = Reading(**values["reading"]) if values["reading"] else None
        if not np.isfinite([*asdict(verifier.probability_).values(), verifier.threshold_]).all():
            raise ValueError("the probability or the threshold is not finite")
        return verifier

    def _check_parameters(self) -> None:
        """Raise ValueError if a parameter is invalid."""
        check_choice("model", self.model, (*ENCODERS, ENSEMBLE, *UNTRAINED, FEATURES))
        if self.model in ENCODERS:
            self._config()
        if not (isinstance(self.seed, int | np.integer) and self.seed >= 0):
            raise ValueError(f"seed must be a whole number of 0 or more, not {self.seed!r}")
        rate = self.false_accept_rate
        if rate is not None and not 0 < rate < 1:
            raise ValueError(f"false_accept_rate must lie between 0 and 1, not at {rate}")

    def _train(
        self,
        dataset: Dataset,
        split: Split,
        epochs: int,
        weights: Sequence[Sequence[np.ndarray]] | None,
    ) -> None:
        """Train the networks, calibrate, and set all attributes of a fitted verifier.

        Args:
            dataset: The images.
            split: Which of them train, and which calibrate (its validation images).
            epochs: Epochs of the study's networks.
            weights: Initial weights of each network; None: random ones.
        """
        if weights is None:
            is_white = self.model != FEATURES and user_images.has_white_background(dataset.images)
            self.background_ = "white" if is_white else "black"
        images = self._on_black(dataset.images[split.train], self.model)
        labels = dataset.labels[split.train]
        networks, whitenings, precision = [], [], "float32"
        if self.model == ENSEMBLE:
            first = SmallEncoderConfig(seed=self.seed)
            configs = first.initialisations()
            for config, initial in zip(configs, weights or [None] * len(configs), strict=True):
                fit = partial(small_encoder.fit, config, images, labels, weights=initial)
                networks.append(trainer.run_fit(config, fit).encoder)
            whitenings = ensemble.fit(images, labels, _as_functions(networks))
        elif self.model in ENCODERS:
            precision = machine.best_precision() if weights is None else self.precision_
            config = replace(
                self._config(),
                epochs=epochs,
                precision=precision,
                batch_size=min_batch_size(len(dataset.seen)),
            )
            initial = weights[0] if weights else None
            fit = partial(pair_training.fit, config, dataset, split, weights=initial)
            networks = [trainer.run_fit(config, fit).encoder]
        self._set_fitted(networks, whitenings, dataset.images.shape[1:], precision)
        self.classes_ = list(dataset.class_names)
        self.reading_: Reading | None = getattr(self, "reading_", None)
        self.memory_ = _remember(dataset, split)
        self._calibrate_on(dataset.images[split.validation], dataset.labels[split.validation])

    def _config(self) -> TrainingConfig:
        """Return the config of the study's network, which checks its fields."""
        return TrainingConfig(
            self.model,
            self.margin,
            epochs=self.epochs,
            seed=self.seed,
            task=self.task,
            pair_sampling="each epoch",
        )

    def _builders(self, shape: Sequence[int], precision: str) -> list[Callable[[], keras.Model]]:
        """Return a function for each network that builds it with fresh weights."""
        if self.model in (*UNTRAINED, FEATURES):
            return []
        if self.model == ENSEMBLE:
            return [partial(build_small_encoder, tuple(shape))] * small_encoder.NUM_INITIALISATIONS
        return [partial(build_encoder, self.model, tuple(shape), precision)]

    def _settings(self) -> dict[str, Any]:
        """Return all values of a fitted verifier except its weights."""
        return {
            "parameters": self.fitted_,
            "classes": self.classes_,
            "shape": self.shape_,
            "precision": self.precision_,
            "probability": asdict(self.probability_),
            "threshold": self.threshold_,
            "background": self.background_,
            "reading": asdict(self.reading_) if self.reading_ else None,
        }

    def _set_fitted(
        self,
        networks: list[keras.Model],
        whitenings: list[ensemble.Whitening],
        shape: Sequence[int],
        precision: str,
    ) -> None:
        """Set the attributes of a fitted verifier, except probability and threshold."""
        self.encoders_, self.whitenings_ = networks, whitenings
        self.shape_, self.precision_ = tuple(shape), precision
        # A parameter that is set later must not change a fitted verifier. JSON takes no NumPy scalars.
        self.fitted_ = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self.get_params().items()
        }

    def _reset(self) -> None:
        """Delete all attributes of a fitted verifier."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _embed(self, images: np.ndarray) -> np.ndarray:
        """Return the embeddings of a batch of images, (images, dimensions)."""
        images = self._on_black(images, self.fitted_["model"])
        networks = _as_functions(self.encoders_)
        if self.whitenings_:
            embed = baselines.to_unit_length(ensemble.embed_with(networks, self.whitenings_))
        elif networks:
            [embed] = networks
        elif self.fitted_["model"] == FEATURES:
            embed = baselines.to_unit_length(lambda features: features)
        else:
            embed = baselines.to_unit_length(UNTRAINED[self.fitted_["model"]])
        return embed(images)

    def _on_black(self, images: np.ndarray, model: str) -> np.ndarray:
        """Return images on a black background for a model that expects it, otherwise unchanged."""
        if self.background_ == "black" or model in ENCODERS:
            return images
        return user_images.invert(images)

    def _calibrate_on(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Set probability and threshold by the pairs of held-out images."""
        classes = np.unique(labels)
        per_class = max(2, MAX_CALIBRATION_IMAGES // len(classes))
        rows = np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in classes])
        if len(rows) < FEW_IMAGES:
            warnings.warn(
                f"the probability rests on {len(rows)} held-out images alone and may be far off; "
                "fit more images, or call `calibrate` with pairs of your own",
                stacklevel=3,
            )
        same = pdist(labels[rows, np.newaxis]) == 0
        self._set_probability(pdist(self._embed(images[rows])), same, len(rows))

    def _set_probability(self, distance: np.ndarray, same: np.ndarray, number: int) -> None:
        """Set probability and threshold by labelled pairs; `number` is that of `calibration.fit`."""
        self.probability_ = calibration.fit(distance, same, number)
        self.threshold_ = self.probability_.threshold
        if not self.probability_.slope:
            warnings.warn(
                "pairs of one class are no nearer than others: the probability is 0.5 for every pair",
                stacklevel=4,
            )
        if (rate := self.fitted_["false_accept_rate"]) is None:
            return
        negatives = np.sort(distance[~same])
        num_accepted = int(rate * len(negatives))
        if not num_accepted:
            warnings.warn(
                f"{len(negatives)} pairs of two classes are too few for a false accept rate of "
                f"{rate:g}: the threshold accepts none of them; use more images",
                stacklevel=4,
            )
        # The threshold lies midway to the next smaller distance, since a distance may be rounded
        # differently in another batch. It is below 0, so that no pair is accepted, if the first
        # negative pair to reject has distance 0.
        rejected = float(negatives[num_accepted])
        below = distance[distance < rejected]
        self.threshold_ = (rejected + float(below.max(initial=0))) / 2 if rejected > 0 else -1.0

    def _count(self, images: np.ndarray, labels: np.ndarray) -> PairHistogram:
        """Return the histogram of the distances of all pairs of labelled images."""
        embeddings = self.embed(images)
        names, labels = user_images.encode_labels(labels, len(embeddings))
        if len(names) > user_images.MAX_CLASSES:
            sampled = np.random.default_rng(self.seed).choice(
                len(names), user_images.MAX_CLASSES, replace=False
            )
            is_sampled = np.isin(labels, sampled)
            embeddings = embeddings[is_sampled]
            names, labels = np.unique(labels[is_sampled], return_inverse=True)
        if len(names) < 2 or np.bincount(labels).min() < 2:
            raise ValueError(
                "labels must have at least two classes, with two images or more of each"
            )
        return pair_histogram.count_pairs(embeddings, labels)

    def _as_batch(self, images: np.ndarray, name: str) -> tuple[np.ndarray, bool]:
        """Return a batch of images as they are compared, and whether it is one image.

        Images are (images, height, width, channels) uint8, feature vectors (vectors, dimensions)
        float32.

        `name` is the argument's name, for error messages.
        """
        check_is_fitted(self)
        shape = self.shape_
        if is_features := self.fitted_["model"] == FEATURES:
            images = user_images.to_float32(images, name)
        else:
            images = user_images.to_uint8(images, name)
        # The channel of grey images may be left out.
        shapes = {shape, shape[:2]} if shape[-1] == 1 and not is_features else {shape}
        if images.shape in shapes:
            return images.reshape(1, *shape), True
        if images.ndim > 1 and images.shape[1:] in shapes and len(images):
            return images.reshape(-1, *shape), False
        expected = " or ".join(map(str, sorted(shapes)))
        what = "feature vector" if is_features else "image"
        raise ValueError(
            f"{name} must be one {what} of shape {expected}, or a batch of one or more, not {images.shape}"
        )


def check_suitable(model: str, sides: Sequence[int], num_classes: int) -> None:
    """Raise ValueError if a model cannot take images of this size, or this number of classes.

    Args:
        model: As in `SiameseVerifier`.
        sides: Height and width of the images.
        num_classes: Number of classes to train on.
    """
    if model == FEATURES:
        return
    size = " x ".join(map(str, sides))
    smallest, largest = user_images.MIN_SIDE, user_images.MAX_ENSEMBLE_SIDE
    if min(sides) < (1 if model in ("raw pixels", "foreground mask") else smallest):
        raise ValueError(f"images must be {smallest} x {smallest} or larger, not {size}")
    if model != ENSEMBLE:
        return
    if max(sides) > largest:
        raise ValueError(
            f"model {ENSEMBLE!r} takes images of up to {largest} x {largest}, not {size}: shrink them"
        )
    if num_classes > user_images.MAX_CLASSES:
        raise ValueError(
            f"model {ENSEMBLE!r} takes {user_images.MAX_CLASSES} classes at most, not "
            f"{num_classes}: choose another model, or fewer classes"
        )


def _as_dataset(images: np.ndarray, labels: np.ndarray, names: Sequence[object]) -> Dataset:
    """Return a user's images as a data set without unseen classes."""
    seen = tuple(range(len(names)))
    return Dataset("own", images, labels, tuple(map(str, names)), seen, unseen=())


def _hold_out_tenth(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return which images to hold out: a tenth of each class that has MIN_IMAGES or more."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), dtype=bool)
    for c in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == c))
        if len(members) >= user_images.MIN_IMAGES:
            held_out[members[: len(members) // 10]] = True
    return held_out


def _remember(dataset: Dataset, split: Split) -> Memory:
    """Return the first MEMORY_IMAGES training and as many held-out images of each class."""
    rows, held_out = [], []
    for indices, is_held_out in ((split.train, False), (split.validation, True)):
        for c in dataset.seen:
            kept = indices[dataset.labels[indices] == c][:MEMORY_IMAGES]
            rows.append(kept)
            held_out.append(np.full(len(kept), is_held_out))
    rows = np.concatenate(rows)
    return Memory(dataset.images[rows], dataset.labels[rows], np.concatenate(held_out))


def _check_memory(memory: Memory, shape: tuple[int, ...], classes: Sequence[str]) -> None:
    """Raise ValueError unless the images of a saved verifier fit its shape and classes."""
    images, labels, held_out = memory
    fits = (
        images.dtype == (np.uint8 if len(shape) == 3 else np.float32)
        and images.shape == (len(labels), *shape)
        and labels.dtype == np.int64
        and set(labels.tolist()) <= set(range(len(classes)))
        and held_out.dtype == bool
        and held_out.shape == labels.shape
    )
    if not fits:
        raise ValueError("the images that it keeps do not fit its shape and classes")


def _read(folder: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the values and the weights of a saved verifier.

    Raises:
        FileNotFoundError: The folder holds no verifier.
        ValueError: A file is damaged or was changed.
    """
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no verifier: the file {name} is missing")
    try:
        values = json.loads((folder / SETTINGS).read_bytes())
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or values.pop("sha256", "") != _digest(folder, values):
        raise ValueError(f"{folder} is damaged or was changed: fit and save the verifier again")
    try:
        weights = _read_weights(folder / WEIGHTS)
    except (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"{folder / WEIGHTS} holds no weights: {error}") from None
    return values, weights


def _read_weights(path: Path) -> list[np.ndarray]:
    """Return the arrays of a file of weights; raise ValueError if there is anything else."""
    with zipfile.ZipFile(path) as archive:
        # A compressed file could unpack to much more than its size.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("they are compressed, which a verifier's weights never are")
    with np.load(path, allow_pickle=False) as arrays:
        weights = [arrays[f"arr_{i}"] for i in range(len(arrays))]
    if not all(np.isfinite(weight).all() for weight in weights):
        raise ValueError("they are not finite")
    return weights


def _digest(folder: Path, values: dict[str, Any]) -> str:
    """Return the SHA-256 of the values and the weights of a saved verifier."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    digest.update((folder / WEIGHTS).read_bytes())
    return digest.hexdigest()


def _as_functions(networks: Sequence[keras.Model]) -> list[Embed]:
    """Return functions that compute the embeddings of networks."""
    return [partial(trainer.embed, network) for network in networks]
