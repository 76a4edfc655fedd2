"""A reader's own images: a folder with a subfolder for each class, as ImageFolder and Keras read it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images read from files, all of one size."""

    images: np.ndarray  # (images, size, size, 1 or 3) uint8
    paths: list[Path]  # of these, in their order
    unreadable: list[Path]  # left out

    @property
    def labels(self) -> np.ndarray:
        """(images,) the names of their folders."""
        return np.array([path.parent.name for path in self.paths])


def read_classes(folder: Path, size: int, channels: int | None = None) -> Pictures:
    """Read all images in the subfolders of a folder, each of which is a class; size as in `read`.

    Raises ValueError where there are none, OSError where the folder cannot be read.
    """
    _refuse_file(folder)
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and _is_shown(path))
    paths = [path for one in inside for path in sorted(one.iterdir()) if _is_image(path)]
    if not paths:
        raise ValueError(f"{folder} has no subfolders with images ({', '.join(ENDINGS)})")
    return read(paths, size, channels)


def read_all(folder: Path, size: int, channels: int | None = None) -> Pictures:
    """Read all images in a folder and below it; size as in `read`.

    Raises ValueError where there are none, OSError where the folder cannot be read.
    """
    _refuse_file(folder)
    paths = sorted(path for path in folder.rglob("*") if _is_image(path))
    if not paths:
        raise ValueError(f"{folder} holds no images ({', '.join(ENDINGS)})")
    return read(paths, size, channels)


def read(paths: Sequence[Path], size: int, channels: int | None = None) -> Pictures:
    """Read images as squares of `size` pixels, the middle of those that are no squares.

    They are turned as their EXIF says; what is transparent becomes black. channels: 1 for grey, 3
    for colours; None: 1 where no image has a colour. Raises ValueError where none can be read.
    """
    found = {path: _read_one(path, size) for path in _shown(paths)}
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
    return Pictures(
        images.astype(np.uint8), good, [path for path, image in found.items() if image is None]
    )


def _refuse_file(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")


def _shown(paths: Sequence[Path]) -> Iterable[Path]:
    return tqdm(paths, desc="reading", unit=" images", delay=1, leave=False)


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file() and _is_shown(path)


def _read_one(path: Path, size: int) -> np.ndarray | None:
    """Return an image in colours, (size, size, 3) uint8, or None where it cannot be read."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                turned = _without_alpha(ImageOps.exif_transpose(image))
                fitted = ImageOps.fit(turned, (size, size), Image.Resampling.BILINEAR)
                return np.asarray(fitted)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
    except Image.DecompressionBombWarning:
        return None


def _without_alpha(image: Image) -> Image:
    """Return an image in colours, over black where it is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # of 16 bits
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert("RGB")
