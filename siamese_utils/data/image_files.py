"""Image files of the user: a folder with one subfolder per class, as for Keras and torchvision."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_NAMES_SHOWN = 3  # unreadable files listed in a summary


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images read from files.

    Attributes:
        images: (images, size, size, channels) uint8, with 1 or 3 channels.
        paths: The file of each image.
        unreadable: Files that could not be read and were skipped.
    """

    images: np.ndarray
    paths: list[Path]
    unreadable: list[Path]

    def labels(self, folder: Path) -> np.ndarray:
        """Return the class of each image, (images,): the name of its subfolder of `folder`."""
        return np.array([path.relative_to(folder).parts[0] for path in self.paths])

    def summary(self, names: bool = True) -> str:
        """Return the number and format of the images, and the number of unreadable files.

        Args:
            names: Whether to list the first unreadable files.
        """
        colours = "grey" if self.images.shape[3] == 1 else "in colours"
        height, width = self.images.shape[1:3]
        text = f"{len(self.paths):,} images, {height} x {width}, {colours}"
        number = len(self.unreadable)
        if not number:
            return text
        text += f"; {number} "
        text += "file cannot be read and is" if number == 1 else "files cannot be read and are"
        text += " left out"
        if names:
            text += f": {', '.join(map(str, self.unreadable[:MAX_NAMES_SHOWN]))}"
            text += ", ..." if number > MAX_NAMES_SHOWN else ""
        return text


def read_classes(folder: Path, size: int, channels: int | None = None) -> ImageFiles:
    """Read the images in all subfolders of a folder, each of which is a class.

    Args:
        folder: The folder.
        size: As in `read`.
        channels: As in `read`.

    Raises:
        ValueError: There are no images.
        OSError: A folder cannot be read.
    """
    return read(list_class_files(folder), size, channels)


def list_class_files(folder: Path) -> list[Path]:
    """Return the files in the subfolders of a folder.

    Raises:
        ValueError: There are none.
        OSError: A folder cannot be read.
    """
    paths = [path for path in list_files(folder) if len(path.relative_to(folder).parts) > 1]
    if not paths:
        raise ValueError(f"{folder} has no subfolders with images, one for each class")
    return paths


def list_files(folder: Path) -> list[Path]:
    """Return the files in a folder and its subfolders, sorted, without hidden ones.

    Raises:
        ValueError: There are none.
        OSError: A folder cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    paths = sorted(path for path in _walk(folder) if path.is_file())
    if not paths:
        raise ValueError(f"{folder} holds no images")
    return paths


def _walk(folder: Path) -> Iterable[Path]:
    """Yield the files in a folder and its subfolders, without hidden ones; follow symbolic links."""

    def raise_error(error: OSError) -> None:
        raise error  # os.walk would skip a folder that cannot be read

    visited = set()
    for directory, subfolders, names in os.walk(folder, followlinks=True, onerror=raise_error):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        real = os.path.realpath(directory)
        if real in visited:  # links can form a loop, or lead to one folder twice
            subfolders.clear()
            continue
        visited.add(real)
        yield from (Path(directory, name) for name in names if not name.startswith("."))


def digest(folder: Path, paths: Sequence[Path]) -> str:
    """Return a SHA-256 of the names and contents of files in a folder, and of the code that reads them."""
    reader = version("pillow"), _content_digest(Path(__file__))
    contents = [(path.relative_to(folder).as_posix(), _content_digest(path)) for path in paths]
    return hashlib.sha256(repr((reader, contents)).encode()).hexdigest()


def _content_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # the file cannot be read as an image either, and will be skipped
        return ""


def read(paths: Sequence[Path], size: int, channels: int | None = None) -> ImageFiles:
    """Read image files as squares of one size.

    Images are rotated as their EXIF data says, cropped to their central square and resized.
    Transparent pixels become black. Unreadable files are skipped.

    Args:
        paths: The files.
        size: Pixels a side.
        channels: 1 for grey, 3 for colour; None: 1 if all images are grey, otherwise 3.

    Raises:
        ValueError: No file can be read as an image.
    """
    progress = tqdm(paths, desc="reading", unit=" images", delay=1, leave=False)
    results = {path: _read_image(path, size) for path in progress}
    readable = [path for path, image in results.items() if image is not None]
    unreadable = [path for path, image in results.items() if image is None]
    if not readable:
        others = f", nor any of {len(paths) - 1} others" if len(paths) > 1 else ""
        raise ValueError(f"{paths[0]} cannot be read as an image{others}")
    images = np.stack([results[path] for path in readable])
    if channels == 1:
        # These are the weights of ITU-R BT.601, as in Pillow's mode "L".
        images = np.rint(images @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    elif channels is None and (images == images[..., :1]).all():
        images = images[..., :1]
    return ImageFiles(images.astype(np.uint8), readable, unreadable)


def _read_image(path: Path, size: int) -> np.ndarray | None:
    """Return an image as (size, size, 3) uint8, or None if it cannot be read."""
    from PIL import Image, ImageOps

    if not path.is_file():  # opening a named pipe would block
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                rgb = _to_rgb(ImageOps.exif_transpose(image))
                return np.asarray(ImageOps.fit(rgb, (size, size), Image.Resampling.BILINEAR))
    except Exception:  # decoders raise errors of many types on damaged files
        return None


def _to_rgb(image: Image) -> Image:
    """Return an image in RGB, on a black background if it has transparent pixels.

    Raises:
        ValueError: The pixels are 32-bit integers or floats, whose white level is unknown.
    """
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} are not supported")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert("RGB")
