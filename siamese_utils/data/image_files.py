"""Image files of the user: a folder with one subfolder per class, as for Keras and torchvision."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_NAMES_SHOWN = 3  # skipped files listed in a summary
FITS = ("pad", "crop", "stretch")  # how an image that is not square becomes a square
BACKGROUNDS = {"black": 0, "white": 255}  # behind transparent pixels
MIN_BITS, MAX_BITS = 8, 16  # of the pixels of a 16-bit file
SUSPICIOUS_SHARE = 0.1  # of the images of a class that have one colour, or are copies


@dataclass(frozen=True)
class Reading:
    """How images are read from files. The images of a model must all be read in one way.

    Attributes:
        fit: How an image becomes a square: `pad` adds margins in the colour of its border, `crop`
            keeps the central square, `stretch` changes its proportions.
        background: What transparent pixels become, a name in BACKGROUNDS; None: the one that
            contrasts more with the opaque pixels of all images.
        bits: The number of bits that the pixels of 16-bit files use, 8 to 16; larger values become
            white.
    """

    fit: str = "pad"
    background: str | None = None
    bits: int = MAX_BITS

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A name is unknown, or the number of bits is out of range.
        """
        if self.fit not in FITS or self.background not in (*BACKGROUNDS, None):
            raise ValueError(f"images cannot be read by {self}")
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise ValueError(f"--bits must be {MIN_BITS} to {MAX_BITS}, not {self.bits}")


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images read from files.

    Attributes:
        images: (images, size, size, channels) uint8, with 1 or 3 channels.
        paths: The file of each image.
        skipped: File that could not be read -> the reason.
        reading: How the images were read, with the background that was chosen.
        has_transparency: Whether an image has transparent pixels.
        used_bits: Bits that the largest pixel of all 16-bit files needs; None if there are none.
    """

    images: np.ndarray
    paths: list[Path]
    skipped: dict[Path, str]
    reading: Reading
    has_transparency: bool = False
    used_bits: int | None = None

    def labels(self, folder: Path) -> np.ndarray:
        """Return the class of each image, (images,): the name of its subfolder of `folder`."""
        return np.array([path.relative_to(folder).parts[0] for path in self.paths])

    def summary(self, names: bool = True) -> str:
        """Return the number and format of the images, and the number of skipped files.

        Args:
            names: Whether to list the first skipped files, with the reasons.
        """
        colours = "grey" if self.images.shape[3] == 1 else "in colours"
        height, width = self.images.shape[1:3]
        text = f"{len(self.paths):,} images, {height} x {width}, {colours}"
        if self.has_transparency:
            text += f", transparent pixels in {self.reading.background}"
        number = len(self.skipped)
        if not number:
            return text
        text += f"; {number} file{'' if number == 1 else 's'} skipped"
        if names:
            reasons = [f"{path}: {reason}" for path, reason in self.skipped.items()]
            text += f": {'; '.join(reasons[:MAX_NAMES_SHOWN])}"
            text += "; ..." if number > MAX_NAMES_SHOWN else ""
        return text

    def warnings(self, folder: Path) -> list[str]:
        """Return sentences about images that were probably not read as intended.

        They concern 16-bit files that use few of their bits, and classes in which many images have
        one colour or are copies.
        """
        labels = self.labels(folder)
        sentences = []
        if self.used_bits is not None and self.used_bits < self.reading.bits - 1:
            sentences.append(
                f"the 16-bit files use {self.used_bits} bits only, so their images are dark; "
                f"`siamese fit --bits {max(self.used_bits, MIN_BITS)}` brightens them"
            )
        for name in np.unique(labels):
            flat = self.images[labels == name].reshape(np.count_nonzero(labels == name), -1)
            plain = np.mean(flat.min(axis=1) == flat.max(axis=1))
            copies = 1 - len(np.unique(flat, axis=0)) / len(flat)
            if plain > SUSPICIOUS_SHARE:
                sentences.append(
                    f"{plain:.0%} of the images of {folder / name} have a single colour after reading. "
                    "Are they empty, or is the object outside the part that --fit keeps?"
                )
            elif copies > SUSPICIOUS_SHARE:
                sentences.append(
                    f"{copies:.0%} of the images of {folder / name} are copies of others after "
                    "reading. Are they small differences of large images? Then raise --image-size."
                )
        return sentences


def read_classes(
    folder: Path, size: int, channels: int | None = None, reading: Reading | None = None
) -> ImageFiles:
    """Read the images in all subfolders of a folder, each of which is a class.

    Args:
        folder: The folder.
        size: As in `read`.
        channels: As in `read`.
        reading: As in `read`.

    Raises:
        ValueError: There are no images.
        OSError: A folder cannot be read.
    """
    return read(list_class_files(folder), size, channels, reading)


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


def read(
    paths: Sequence[Path], size: int, channels: int | None = None, reading: Reading | None = None
) -> ImageFiles:
    """Read image files as squares of one size.

    Images are rotated as their EXIF data says and resized. Files that cannot be read are skipped.

    Args:
        paths: The files.
        size: Pixels a side.
        channels: 1 for grey, 3 for colour; None: 1 if all images are grey, otherwise 3.
        reading: How to read them; None: the defaults of `Reading`.

    Raises:
        ValueError: No file can be read as an image.
    """
    reading = reading or Reading()
    progress = tqdm(paths, desc="reading", unit=" images", delay=1, leave=False)
    results = {path: _read_image(path, size, reading) for path in progress}
    read_images = {path: r for path, r in results.items() if not isinstance(r, str)}
    skipped = {path: reason for path, reason in results.items() if isinstance(reason, str)}
    if not read_images:
        path, reason = next(iter(skipped.items()))
        others = f"; nor can any of {len(paths) - 1} others be read" if len(paths) > 1 else ""
        raise ValueError(f"{path}: {reason}{others}")
    brightness = [one.brightness for one in read_images.values() if one.brightness is not None]
    if reading.background is None:
        bright = bool(brightness) and np.mean(brightness) < 128
        reading = replace(reading, background="white" if bright else "black")
    images = np.stack([one.on[reading.background] for one in read_images.values()])
    if channels == 1:
        # These are the weights of ITU-R BT.601, as in Pillow's mode "L".
        images = np.rint(images @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    elif channels is None and (images == images[..., :1]).all():
        images = images[..., :1]
    brightest = [one.brightest for one in read_images.values() if one.brightest is not None]
    return ImageFiles(
        images.astype(np.uint8),
        list(read_images),
        skipped,
        reading,
        has_transparency=bool(brightness),
        used_bits=max(brightest).bit_length() if brightest else None,
    )


class _SquareImage(NamedTuple):
    """An image that was read.

    Attributes:
        on: Name of a background -> (size, size, 3) uint8.
        brightness: Mean brightness of the opaque pixels, 0..255, if others are transparent.
        brightest: The largest value of a pixel, if the file has 16 bits.
    """

    on: Mapping[str, np.ndarray]
    brightness: float | None = None
    brightest: int | None = None


def _read_image(path: Path, size: int, reading: Reading) -> _SquareImage | str:
    """Read an image, or return the reason why it cannot be read."""
    from PIL import Image, ImageOps

    if not path.is_file():  # opening a named pipe would block
        return "no regular file"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
                if image.mode in ("I", "F"):  # whose white level is unknown
                    return "32-bit pixels are not supported; convert the file to 8 or 16 bits"
                return _to_square(image, size, reading)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return "too many pixels"
    except OSError as error:
        return "no permission" if isinstance(error, PermissionError) else "not an image, or damaged"
    except Exception:  # decoders raise errors of many types on damaged files
        return "not an image, or damaged"


def _to_square(image: Image, size: int, reading: Reading) -> _SquareImage:
    """Return an image as a square in RGB, on each background if it has transparent pixels."""
    from PIL import Image

    brightness = brightest = None
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        brightest, white = int(values.max()), 2**reading.bits - 1
        image = Image.fromarray((np.minimum(values, white) * 255 // white).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.asarray(image)[..., 3] / 255
        if alpha.min() < 1:
            grey = np.asarray(image.convert("RGB").convert("L"))
            brightness = float((grey * alpha).sum() / alpha.sum()) if alpha.any() else 0.0
    if brightness is None:
        square = _fit(image.convert("RGB"), size, reading.fit)
        return _SquareImage(dict.fromkeys(BACKGROUNDS, square), brightest=brightest)
    squares = {}
    for name, level in BACKGROUNDS.items():
        background = Image.new("RGBA", image.size, (level, level, level, 255))
        flat = Image.alpha_composite(background, image).convert("RGB")
        squares[name] = _fit(flat, size, reading.fit)
    return _SquareImage(squares, brightness)


def _fit(image: Image, size: int, fit: str) -> np.ndarray:
    """Return an RGB image as a square, (size, size, 3) uint8."""
    from PIL import Image, ImageOps

    shape, how = (size, size), Image.Resampling.BILINEAR
    if fit == "crop":
        return np.asarray(ImageOps.fit(image, shape, how))
    if fit == "stretch":
        return np.asarray(image.resize(shape, how))
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = tuple(np.median(border, axis=0).astype(int).tolist())
    return np.asarray(ImageOps.pad(image, shape, how, color=colour))
