"""Fit a verifier to a folder of images, and ask it. `siamese --help` says how."""

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

from siamese_utils import checksummed_npz, cli_utils
from siamese_utils.cli_utils import OneLineParser, exit_with
from siamese_utils.data import image_files, user_images
from siamese_utils.data.image_files import ImageFiles
from siamese_utils.training import cache
from siamese_utils.training.encoders import ENCODERS
from siamese_utils.training.trainer import TrainingDivergedError
from siamese_utils.verifier import ENSEMBLE, EXPORT_PATHS, SETTINGS, UNTRAINED, SiameseVerifier

NAME = "siamese"
Work = Callable[[argparse.Namespace], dict[str, Any]]
CHOICES = ("model", "epochs", "seed", "false_accept_rate")  # of the verifier


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; a mistake ends with exit 2."""
    parser = OneLineParser(prog=NAME, description=__doc__.split("`")[0], allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=OneLineParser)

    def add(work: Work, told: str, **places: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            work.__name__, help=told, description=told, allow_abbrev=False
        )
        command.set_defaults(work=work)
        for place, what in places.items():
            command.add_argument(place, metavar=place.upper(), type=Path, help=what)
        command.add_argument("--json", action="store_true", help="answer in JSON")
        return command

    model = "what `siamese fit` kept"
    classes = "a folder with a subfolder of images for each class"
    _add_choices(add(fit, "train on a folder of images, and keep what was learned", folder=classes))
    told = "say how far two images are apart, and whether alike"
    add(compare, told, model=model, a="an image", b="another one")
    places = {"model": model, "query": "an image", "gallery": "a folder of images"}
    search_options = add(search, "find the nearest images of a folder", **places)
    search_options.add_argument("-k", type=int, default=5, metavar="N", help="how many (5)")
    forms = add(export, "write its network for other programs", model=model, folder="a new folder")
    forms.add_argument(
        "--form", choices=EXPORT_PATHS, default="saved_model", help="TensorFlow's; or litert"
    )
    add(evaluate, "measure it on images that it was not fitted to", model=model, folder=classes)
    return parser.parse_args(arguments)


def _add_choices(command: argparse.ArgumentParser) -> None:
    """Add what `fit` may be told."""
    command.add_argument(
        "--save", type=Path, required=True, metavar="MODEL", help="a new folder, for what is kept"
    )
    command.add_argument(
        "--model",
        choices=(*ENCODERS, ENSEMBLE, *UNTRAINED),
        default="base",
        help="the study's network (base); or recipe, for classes not shown; or one that learns nothing",
    )
    size = f"pixels of a side, to which all are brought ({user_images.DEFAULT_SIDE})"
    command.add_argument(
        "--image-size", type=int, default=user_images.DEFAULT_SIDE, metavar="N", help=size
    )
    told = "of the study's network (10)"
    command.add_argument("--epochs", type=int, default=10, metavar="N", help=told)
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of what is random (0)")
    rate = "share of different pairs that may count as the same, such as 0.01"
    command.add_argument("--false-accept-rate", type=float, metavar="R", help=rate)


def fit(options: argparse.Namespace) -> dict[str, Any]:
    """Train a verifier and keep it."""
    start = time.monotonic()
    if options.save.exists():
        raise ValueError(f"{options.save} is there already; choose another --save")
    user_images.check_side(options.image_size, user_images.MAX_SIDE)
    _check_writable(options.save)
    pictures = image_files.read_classes(options.folder, options.image_size)
    labels = pictures.labels(options.folder)
    user_images.check_class_sizes(options.folder, Counter(labels.tolist()))
    _print_summary(pictures)
    chosen = {name: getattr(options, name) for name in CHOICES}
    SiameseVerifier(**chosen).fit(pictures.images, labels).save(options.save)
    return {
        "model": str(options.save),
        "images": len(pictures.paths),
        "classes": len(set(labels.tolist())),
        "channels": pictures.images.shape[3],
        "unreadable": [str(path) for path in pictures.unreadable],
        "seconds": round(time.monotonic() - start, 1),
    }


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Say how far two images are apart, whether they show one class, and how probably."""
    _check_readable(options.a, options.b)
    verifier = SiameseVerifier.load(options.model)
    a, b = (
        image_files.read([path], *_image_format(verifier)).images[0]
        for path in (options.a, options.b)
    )
    answer = verifier.is_same(a, b)
    return {
        "distance": verifier.distance(a, b),
        "same": answer.same,
        "probability": answer.probability,
    }


def search(options: argparse.Namespace) -> dict[str, Any]:
    """Find the images of a folder that are nearest to one."""
    if options.k < 1:
        raise ValueError(f"-k must be 1 or more, not {options.k}")
    _check_readable(options.query)
    verifier = SiameseVerifier.load(options.model)
    query = image_files.read([options.query], *_image_format(verifier))
    paths, embeddings = _embed(verifier, options.model, options.gallery)
    found = verifier.nearest(query.images, embeddings, min(options.k, len(paths)))
    nearest = zip(found.distance[0], found.index[0], strict=True)
    return {"nearest": [{"distance": float(d), "image": str(paths[i])} for d, i in nearest]}


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Write the network for other programs."""
    return {"folder": str(SiameseVerifier.load(options.model).export(options.folder, options.form))}


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a verifier on all pairs of a folder's images."""
    verifier = SiameseVerifier.load(options.model)
    pictures = image_files.read_classes(options.folder, *_image_format(verifier))
    _print_summary(pictures)
    return verifier.evaluate(pictures.images, pictures.labels(options.folder))


def _embed(verifier: SiameseVerifier, model: Path, gallery: Path) -> tuple[list[Path], np.ndarray]:
    """Return the images of a gallery that can be read, and their embeddings, (images, dimensions).

    They are kept in the model's folder, until the gallery, the model or what embeds changes.
    """
    kept_in = model.resolve()
    paths = [path for path in image_files.list_files(gallery) if path.resolve().parent != kept_in]
    digest = hashlib.sha256((model / SETTINGS).read_bytes()).hexdigest()
    parts = {"gallery": image_files.digest(gallery, paths), "model": digest}
    parts |= {"gradients": version("scikit-image")}
    key = cache.make_key(parts, ["verifier.SiameseVerifier"])
    place = hashlib.sha256(str(gallery.resolve()).encode()).hexdigest()[:20]
    path = kept_in / f"gallery-{place}.npz"
    kept = checksummed_npz.read(path, key)
    if kept is None:
        found = image_files.read(paths, *_image_format(verifier))
        readable = set(found.paths)
        rows = [row for row, one in enumerate(paths) if one in readable]
        kept = {"rows": np.array(rows), "embeddings": verifier.embed(found.images)}
        kept |= {"told": np.array(found.summary())}
        with suppress(OSError):  # a model that cannot be written to is asked as well
            checksummed_npz.write(path, key, kept)
    print(kept["told"], file=sys.stderr)
    return [paths[row] for row in kept["rows"]], kept["embeddings"]


def _check_readable(*paths: Path) -> None:
    """Raise ValueError before anything is loaded, which takes seconds."""
    for path in paths:
        image_files.read([path], user_images.MIN_SIDE)


def _check_writable(model: Path) -> None:
    """Raise OSError where a model cannot be kept, before it is trained."""
    model.parent.mkdir(parents=True, exist_ok=True)
    probe = model.with_name(f".{model.name}-probe")
    probe.mkdir(exist_ok=True)
    probe.rmdir()


def _image_format(verifier: SiameseVerifier) -> tuple[int, int]:
    """Return the side and the channels that it wants images to have."""
    size, _, channels = verifier.shape_
    return size, channels


def _print_summary(pictures: ImageFiles) -> None:
    """Say what was read, and what could not be."""
    print(pictures.summary(), file=sys.stderr)


def _print_result(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        if name == "nearest":
            print("\n".join(f"{one['distance']:.4f}  {one['image']}" for one in value))
        elif name != "unreadable":  # said before
            print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")


def run(arguments: list[str]) -> int:
    """Do what the command line says and return the exit status."""
    try:
        options = parse(arguments)
        _print_result(options.work(options), options.json)
    except TrainingDivergedError as error:
        return exit_with(NAME, 1, str(error))
    except (ValueError, OSError) as error:
        return exit_with(NAME, 2, f"error: {error}")
    except KeyboardInterrupt:
        return exit_with(NAME, 130, "stopped; nothing was kept")
    return 0


def main() -> int:
    """Set the process up, and run."""
    cli_utils.open_streams()
    cli_utils.silence_libraries()
    cli_utils.handle_signals()
    warnings.showwarning = lambda message, *_: print(f"{NAME}: {message}", file=sys.stderr)
    return run(sys.argv[1:])
