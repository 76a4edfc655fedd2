"""A reader's own images: a folder with a subfolder for each class, as ImageFolder and Keras read it."""

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

MAX_NAMES_SHOWN = 3  # names of unreadable files


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images read from files, all of one size."""

    images: np.ndarray  # (images, size, size, 1 or 3) uint8
    paths: list[Path]  # of these, in their order
    unreadable: list[Path]  # left out

    def labels(self, folder: Path) -> np.ndarray:
        """Return the names of their subfolders of a folder: (images,)."""
        return np.array([path.relative_to(folder).parts[0] for path in self.paths])

    def summary(self, names: bool = True) -> str:
        """Return what was read, and what could not be: how many, and with `names` which."""
        kind = "grey" if self.images.shape[3] == 1 else "in colours"
        told = (
            f"{len(self.paths):,} images, {self.images.shape[1]} x {self.images.shape[2]}, {kind}"
        )
        if not self.unreadable:
            return told
        shown = ", ".join(map(str, self.unreadable[:MAX_NAMES_SHOWN]))
        shown = f": {shown}{', ...' * (len(self.unreadable) > MAX_NAMES_SHOWN)}" if names else ""
        number = len(self.unreadable)
        files = "file cannot be read and is" if number == 1 else "files cannot be read and are"
        return f"{told}; {number} {files} left out{shown}"


def read_classes(folder: Path, size: int, channels: int | None = None) -> ImageFiles:
    """Read all images below the subfolders of a folder, each of which is a class; size as in `read`.

    Raises ValueError where there are none, OSError where the folder cannot be read.
    """
    return read(list_class_files(folder), size, channels)


def list_class_files(folder: Path) -> list[Path]:
    """Return the files below the subfolders of a folder. Raises ValueError where there are none."""
    paths = [path for path in list_files(folder) if len(path.relative_to(folder).parts) > 1]
    if not paths:
        raise ValueError(f"{folder} has no subfolders with images, one for each class")
    return paths


def list_files(folder: Path) -> list[Path]:
    """Return the files in and below a folder, without hidden ones. Raises ValueError, OSError."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    found = sorted(path for path in _walk(folder) if path.is_file())
    if not found:
        raise ValueError(f"{folder} holds no images")
    return found


def _walk(folder: Path) -> Iterable[Path]:
    """Yield the files in and below a folder, through symbolic links too, without hidden ones."""

    def fail(error: OSError) -> None:
        raise error  # a folder that cannot be read is not passed over

    met = set()
    for place, inner, names in os.walk(folder, followlinks=True, onerror=fail):
        inner[:] = [name for name in inner if not name.startswith(".")]
        real = os.path.realpath(place)
        if real in met:  # a loop of links, or a second way to the same
            inner.clear()
            continue
        met.add(real)
        yield from (Path(place, name) for name in names if not name.startswith("."))


def digest(folder: Path, paths: Sequence[Path]) -> str:
    """Return a SHA-256 of the names and contents of files in a folder, and of the code that reads them."""
    read_by = version("pillow"), _content_digest(Path(__file__))
    contents = [(path.relative_to(folder).as_posix(), _content_digest(path)) for path in paths]
    return hashlib.sha256(repr((read_by, contents)).encode()).hexdigest()


def _content_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # it cannot be read as an image either, and is left out
        return ""


def read(paths: Sequence[Path], size: int, channels: int | None = None) -> ImageFiles:
    """Read images as squares of `size` pixels, the middle of those that are no squares.

    They are turned as their EXIF says; what is transparent becomes black. channels: 1 for grey, 3
    for colours; None: 1 where no image has a colour. Raises ValueError where none can be read.
    """
    found = {path: _read_image(path, size) for path in _with_progress(paths)}
    good = [path for path, image in found.items() if image is not None]
    if not good:
        rest = f", nor any of {len(paths) - 1} others" if len(paths) > 1 else ""
        raise ValueError(f"{paths[0]} cannot be read as an image{rest}")
    images = np.stack([found[path] for path in good])
    if channels == 1:
        # the weights of ITU-R 601-2, which Pillow and others use for "L"
        images = np.rint(images @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    elif channels is None and (images == images[..., :1]).all():
        images = images[..., :1]
    return ImageFiles(
        images.astype(np.uint8), good, [path for path, image in found.items() if image is None]
    )


def _with_progress(paths: Sequence[Path]) -> Iterable[Path]:
    return tqdm(paths, desc="reading", unit=" images", delay=1, leave=False)


def _read_image(path: Path, size: int) -> np.ndarray | None:
    """Return an image in colours, (size, size, 3) uint8, or None where it cannot be read."""
    from PIL import Image, ImageOps

    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                turned = _to_rgb(ImageOps.exif_transpose(image))
                return np.asarray(ImageOps.fit(turned, (size, size), Image.Resampling.BILINEAR))
    except Exception:  # whatever a decoder makes of a damaged file
        return None


def _to_rgb(image: Image) -> Image:
    """Return an image in colours, over black where it is transparent. Raises ValueError."""
    from PIL import Image

    if image.mode in ("I", "F"):  # nobody knows what is white
        raise ValueError(f"pixels of mode {image.mode}")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert("RGB")
