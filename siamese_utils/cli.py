"""The command `siamese`: fit a verifier to a folder of images or to feature vectors, and use it."""

import argparse
import hashlib
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from siamese_utils import checksummed_npz, cli_utils, model_selection
from siamese_utils.cli_utils import OneLineParser, exit_with
from siamese_utils.data import feature_files, image_files, user_images
from siamese_utils.data.image_files import ImageFiles
from siamese_utils.training import cache
from siamese_utils.training.encoders import ENCODERS
from siamese_utils.training.trainer import TrainingDivergedError
from siamese_utils.verifier import (
    ENSEMBLE,
    EXPORT_PATHS,
    FEATURES,
    SETTINGS,
    UNTRAINED,
    SiameseVerifier,
)

NAME = "siamese"
Command = Callable[[argparse.Namespace], dict[str, Any]]
COMMAND_NAMES = {"add_classes": "add"}  # function -> command, if they differ
PARAMETERS = ("model", "epochs", "seed", "false_accept_rate")  # of the verifier


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; an error ends the process with status 2."""
    parser = OneLineParser(
        prog=NAME,
        description="Fit a verifier to a folder of images, and compare images with it. A verifier is a model that "
        "says whether two images show the same class, and how probably. It suits small, centred objects on "
        "a plain background, such as symbols, scans or parts. For other photographs, compute features "
        "with a large pretrained network, and use `siamese fit --features`. In add, compare, search and "
        "evaluate, an npz file of features then takes the place of a folder, and a file of one vector "
        "the place of an image.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=OneLineParser)

    def add(command: Command, text: str, **paths: str) -> argparse.ArgumentParser:
        """Add a command with paths as its arguments: name -> help text."""
        name = COMMAND_NAMES.get(command.__name__, command.__name__)
        subparser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        subparser.set_defaults(command=command)
        for name, path_help in paths.items():
            subparser.add_argument(name, metavar=name.upper(), type=Path, help=path_help)
        subparser.add_argument("--json", action="store_true", help="print the result as JSON")
        return subparser

    model = "folder of a saved verifier"
    classes = "folder with a subfolder of images for each class"
    fit_parser = add(fit, "train a verifier on a folder of images, and save it")
    fit_parser.add_argument("folder", metavar="FOLDER", type=Path, nargs="?", help=classes)
    _add_fit_options(fit_parser)
    text = (
        "add new classes to a saved verifier (about 20 images of each suffice), and save the result"
    )
    paths = {"model": model, "folder": "folder with a subfolder of images for each new class"}
    add_parser = add(add_classes, text, **paths)
    add_parser.add_argument(
        "--save", type=Path, required=True, metavar="MODEL", help="new folder for the verifier"
    )
    text = "compute the distance of two images, and the probability that they show the same class"
    add(compare, text, model=model, a="an image", b="another image")
    paths = {"model": model, "query": "an image", "gallery": "a folder of images"}
    text = "find the nearest images in a folder; prints distance and file, nearest first"
    search_parser = add(search, text, **paths)
    text = "number of images to find (default 5)"
    search_parser.add_argument("-k", type=int, default=5, metavar="N", help=text)
    text = "export the network for other programs (networks trained on pairs only)"
    export_parser = add(export, text, model=model, folder="a new folder")
    text = "TensorFlow SavedModel (default), or LiteRT for phones and small devices"
    export_parser.add_argument("--form", choices=EXPORT_PATHS, default="saved_model", help=text)
    text = "compute AUC, accuracy and calibration on other images of old or new classes"
    add(evaluate, text, model=model, folder=classes)
    return parser.parse_args(arguments)


def _add_fit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fit`."""
    parser.add_argument(
        "--save", type=Path, required=True, metavar="MODEL", help="new folder for the verifier"
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help="instead of FOLDER, an npz file with the arrays features (vectors, dimensions), such as "
        "embeddings by a pretrained network, and labels (vectors,)",
    )
    parser.add_argument(
        "--model",
        choices=model_selection.CHOICES,
        default=model_selection.AUTO,
        help=f"{model_selection.AUTO} (default) compares {', '.join(model_selection.MODELS)} by AUC on held-out "
        f"classes and keeps the best; it needs {model_selection.MIN_CLASSES} classes, and takes about a minute for "
        f"1,000 images; with fewer classes it trains {model_selection.FALLBACK}. {', '.join(ENCODERS)} are networks trained "
        "on pairs: without regularisation, with dropout, with weight penalties, with both. "
        f"{ENSEMBLE} combines HOG features, foreground mask and two small networks; "
        f"{', '.join(UNTRAINED)} are not trained",
    )
    text = (
        f"pixels of a side, to which all images are resized, at most {user_images.MAX_SIDE} (default "
        f"{user_images.DEFAULT_SIDE}); twice the side takes about four times as long, and the ensemble "
        f"takes at most {user_images.MAX_ENSEMBLE_SIDE}"
    )
    parser.add_argument(
        "--image-size", type=int, default=user_images.DEFAULT_SIDE, metavar="N", help=text
    )
    parser.add_argument(
        "--fit",
        choices=image_files.FITS,
        default=image_files.FITS[0],
        help="how an image that is not square becomes a square: pad (default) adds margins, crop keeps "
        "the middle, stretch changes its proportions",
    )
    text = (
        f"bits that the pixels of 16-bit files use, such as 12 (default {image_files.MAX_BITS}); "
        "fewer bits make the images brighter"
    )
    parser.add_argument("--bits", type=int, default=image_files.MAX_BITS, metavar="N", help=text)
    text = f"training epochs of {', '.join(ENCODERS)} (default 10)"
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help=text)
    text = "seed of the random numbers (default 0)"
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    text = (
        "accept at most this share of the pairs of different classes, such as 0.01 (default: the threshold "
        "is where both answers are equally probable)"
    )
    parser.add_argument("--false-accept-rate", type=float, metavar="R", help=text)


def fit(options: argparse.Namespace) -> dict[str, Any]:
    """Train a verifier on a folder of images and save it."""
    start = time.monotonic()
    _check_new(options.save)
    if (options.folder is None) == (options.features is None):
        raise ValueError("give a folder of images, or --features FILE")
    if options.features:
        return _fit_features(options, start)
    user_images.check_side(options.image_size, user_images.MAX_SIDE)
    reading = image_files.Reading(options.fit, bits=options.bits)
    _check_writable(options.save)
    files = image_files.read_classes(options.folder, options.image_size, reading=reading)
    labels = files.labels(options.folder)
    user_images.check_class_sizes(options.folder, Counter(labels.tolist()))
    _describe(files, options.folder)
    parameters = _parameters(options)
    compared: dict[str, float | None] = {}
    if options.model == model_selection.AUTO:
        compared = _compare_models(files.images, labels, parameters)
        parameters["model"] = next(iter(compared)) if compared else model_selection.FALLBACK
    verifier = SiameseVerifier(**parameters).fit(files.images, labels)
    verifier.reading_ = files.reading
    verifier.save(options.save)
    return {
        "saved": str(options.save),
        "model": parameters["model"],
        "AUC on held-out classes": compared,
        "images": len(files.paths),
        "classes": len(set(labels.tolist())),
        "channels": files.images.shape[3],
        "skipped": {str(path): reason for path, reason in files.skipped.items()},
        "seconds": round(time.monotonic() - start, 1),
    }


def _fit_features(options: argparse.Namespace, start: float) -> dict[str, Any]:
    """Fit a verifier to feature vectors and save it."""
    if options.model not in (model_selection.AUTO, FEATURES):
        raise ValueError(f"--model {options.model} is for images; leave it out with --features")
    _check_writable(options.save)
    file = feature_files.read(options.features)
    print(file.summary(), file=sys.stderr)
    verifier = SiameseVerifier(**_parameters(options) | {"model": FEATURES})
    verifier.fit(file.features, file.labels).save(options.save)
    return {
        "saved": str(options.save),
        "model": FEATURES,
        "vectors": len(file.features),
        "classes": len(verifier.classes_),
        "seconds": round(time.monotonic() - start, 1),
    }


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the verifier that the options of `fit` give."""
    return {name: getattr(options, name) for name in PARAMETERS}


def _compare_models(
    images: np.ndarray, labels: np.ndarray, parameters: dict[str, Any]
) -> dict[str, float | None]:
    """Return the AUC of each model on held-out classes; {} if there are too few classes."""
    others = {name: value for name, value in parameters.items() if name != "model"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the calibration, which is not used here
        try:
            return model_selection.compare_models(images, labels, **others)
        except ValueError as error:
            print(
                f"{NAME}: {error}; the model is {model_selection.FALLBACK}, or choose one with --model",
                file=sys.stderr,
            )
            return {}


def add_classes(options: argparse.Namespace) -> dict[str, Any]:
    """Teach a saved verifier new classes, and save it in another folder."""
    start = time.monotonic()
    _check_new(options.save)
    _check_writable(options.save)
    verifier = SiameseVerifier.load(options.model)
    images, labels, skipped = _read_classes(verifier, options.folder)
    old = set(verifier.classes_)
    verifier.add_classes(images, labels).save(options.save)
    return {
        "model": str(options.save),
        "images": len(images),
        "new classes": sorted(set(verifier.classes_) - old),
        "classes": len(verifier.classes_),
        "skipped": skipped,
        "seconds": round(time.monotonic() - start, 1),
    }


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Return the distance of two images, whether they show one class, and how probably."""
    _check_readable(options.a, options.b)
    verifier = SiameseVerifier.load(options.model)
    a, b = (_read_one(verifier, path) for path in (options.a, options.b))
    answer = verifier.is_same(a, b)
    return {
        "distance": verifier.distance(a, b),
        "same": answer.same,
        "probability": answer.probability,
    }


def search(options: argparse.Namespace) -> dict[str, Any]:
    """Return the images of a folder that are nearest to an image."""
    if options.k < 1:
        raise ValueError(f"-k must be 1 or more, not {options.k}")
    _check_readable(options.query)
    verifier = SiameseVerifier.load(options.model)
    query = _read_one(verifier, options.query)
    names: list[Any]
    if verifier.fitted_["model"] == FEATURES:
        gallery = feature_files.read(options.gallery)
        names, embeddings = gallery.names, gallery.features
    else:
        names, embeddings = _embed(verifier, options.model, options.gallery)
    neighbours = verifier.nearest(query, embeddings, min(options.k, len(names)))
    nearest = zip(neighbours.distance[0], neighbours.index[0], strict=True)
    return {"nearest": [{"distance": float(d), "image": str(names[i])} for d, i in nearest]}


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Export the network of a verifier for other programs."""
    return {"folder": str(SiameseVerifier.load(options.model).export(options.folder, options.form))}


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Return the metrics of a verifier on all pairs of a folder's images."""
    verifier = SiameseVerifier.load(options.model)
    images, labels, _ = _read_classes(verifier, options.folder)
    return verifier.evaluate(images, labels)


def _read_classes(
    verifier: SiameseVerifier, path: Path
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Read labelled images, or feature vectors if the verifier compares these.

    Returns:
        Images or feature vectors, their labels, and file that was skipped -> the reason.
    """
    if verifier.fitted_["model"] == FEATURES:
        file = feature_files.read(path)
        print(file.summary(), file=sys.stderr)
        return file.features, file.labels, {}
    files = image_files.read_classes(path, *_image_format(verifier))
    _describe(files, path)
    skipped = {str(path): reason for path, reason in files.skipped.items()}
    return files.images, files.labels(path), skipped


def _read_one(verifier: SiameseVerifier, path: Path) -> np.ndarray:
    """Read an image, or a file of one feature vector if the verifier compares these."""
    if verifier.fitted_["model"] != FEATURES:
        return image_files.read([path], *_image_format(verifier)).images[0]
    file = feature_files.read(path)
    if len(file.features) != 1:
        raise ValueError(f"{path} has {len(file.features)} feature vectors, but must have one")
    return file.features[0]


def _embed(verifier: SiameseVerifier, model: Path, gallery: Path) -> tuple[list[Path], np.ndarray]:
    """Return the readable files of a gallery, and their embeddings, (images, dimensions).

    The embeddings are cached in the model's folder, under a key that changes with the gallery, the
    model and the code.
    """
    cache_folder = model.resolve()
    files = image_files.list_files(gallery)
    paths = [path for path in files if path.resolve().parent != cache_folder]
    digest = hashlib.sha256((model / SETTINGS).read_bytes()).hexdigest()
    parts = {"gallery": image_files.digest(gallery, paths), "model": digest}
    parts |= {"gradients": version("scikit-image")}
    key = cache.make_key(parts, ["verifier.SiameseVerifier"])
    name = hashlib.sha256(str(gallery.resolve()).encode()).hexdigest()[:20]
    path = cache_folder / f"gallery-{name}.npz"
    cached = checksummed_npz.read(path, key)
    if cached is None:
        images = image_files.read(paths, *_image_format(verifier))
        readable = set(images.paths)
        cached = {
            "rows": np.array([row for row, path in enumerate(paths) if path in readable]),
            "embeddings": verifier.embed(images.images),
            "summary": np.array(images.summary()),
        }
        with suppress(OSError):  # a read-only model can be used too
            checksummed_npz.write(path, key, cached)
    print(cached["summary"], file=sys.stderr)
    return [paths[row] for row in cached["rows"]], cached["embeddings"]


def _check_readable(*paths: Path) -> None:
    """Raise ValueError if a file cannot be read, before TensorFlow is loaded, which takes seconds."""
    for path in paths:
        if path.suffix in (".npz", ".npy"):
            feature_files.read(path)
        else:
            image_files.read([path], user_images.MIN_SIDE)


def _check_new(model: Path) -> None:
    """Raise ValueError if the folder to save a model in exists."""
    if model.exists():
        raise ValueError(f"{model} already exists; choose another folder for --save")


def _check_writable(model: Path) -> None:
    """Raise OSError if a model cannot be saved there, before it is trained."""
    model.parent.mkdir(parents=True, exist_ok=True)
    probe = model.with_name(f".{model.name}-probe")
    probe.mkdir(exist_ok=True)
    probe.rmdir()


def _describe(files: ImageFiles, folder: Path) -> None:
    """Print a summary of images that were read, and warnings."""
    print(files.summary(), file=sys.stderr)
    for sentence in files.warnings(folder):
        print(f"{NAME}: {sentence}", file=sys.stderr)


def _image_format(verifier: SiameseVerifier) -> tuple[int, int, image_files.Reading | None]:
    """Return the side and the number of channels of a verifier's images, and how to read them."""
    size, _, channels = verifier.shape_
    return size, channels, verifier.reading_


def _print_result(result: dict[str, Any], as_json: bool) -> None:
    """Print what a command returned, as JSON or as lines."""
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if name == "nearest":
            print("\n".join(f"{entry['distance']:.4f}  {entry['image']}" for entry in value))
        elif isinstance(value, dict):
            if name != "skipped" and value:  # the summary of the images lists what was skipped
                print(f"{name}:")
                for key, number in value.items():
                    print(
                        f"  {key:<16} {'cannot take this size or number of classes' if number is None else f'{number:.3f}'}"
                    )
        elif isinstance(value, list):
            print(f"{name}: {', '.join(value) or 'none'}")
        else:
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")


def run(arguments: list[str]) -> int:
    """Run the command of a command line and return the exit status."""
    try:
        options = parse(arguments)
        _print_result(options.command(options), options.json)
    except TrainingDivergedError as error:
        return exit_with(NAME, 1, str(error))
    except (ValueError, OSError) as error:
        return exit_with(NAME, 2, f"error: {error}")
    except KeyboardInterrupt:
        return exit_with(NAME, 130, "stopped; nothing was saved")
    return 0


def main() -> int:
    """Set up the process, and run the command that it was started with."""
    cli_utils.open_streams()
    cli_utils.silence_libraries()
    cli_utils.handle_signals()
    warnings.showwarning = lambda message, *_: print(f"{NAME}: {message}", file=sys.stderr)
    return run(sys.argv[1:])
