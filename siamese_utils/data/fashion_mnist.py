"""Fashion-MNIST: the four official files, found or fetched, verified and read."""

import gzip
import hashlib
import os
import warnings
import zlib
from pathlib import Path

import numpy as np

from siamese_utils import settings

# File name -> (bytes, SHA-256) of the official files.
FILES = {
    "train-images-idx3-ubyte.gz": (
        26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte.gz": (
        29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte.gz": (
        4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
SOURCES = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
TIMEOUT_SECONDS = 5

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class DataError(Exception):
    """The images cannot be had; the message says where they were looked for and what to do."""


def read() -> tuple[np.ndarray, np.ndarray]:
    """Return both published parts together: images (70000, 28, 28) uint8, labels (70000,) int64.

    Raises DataError as `fetch`.
    """
    paths = fetch()
    parts = [_read_part(paths, prefix) for prefix in ("train", "t10k")]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return images, labels.astype(np.int64)


def _read_part(paths: dict[str, Path], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(paths[f"{prefix}-images-idx3-ubyte.gz"])
    labels = read_idx(paths[f"{prefix}-labels-idx1-ubyte.gz"])
    return images, labels


def fetch() -> dict[str, Path]:
    """Return the verified official files by name: the reader's own ones, else downloaded ones.

    Raises DataError where a file of the reader's own is damaged (it is left alone), or where
    a file is neither here nor to be downloaded.
    """
    return {name: find_local_file(name) or _download(name) for name in FILES}


def local_folders() -> list[Path]:
    """Return the folders that may hold the reader's own copy, in the order they are looked at.

    Raises ValueError where the one that the reader names is none.
    """
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    folders = [settings.ROOT.parent / "shared", keras_home / "datasets"]
    if own := os.environ.get(settings.DATA_VARIABLE):
        if not Path(own).is_dir():
            raise ValueError(f"{settings.DATA_VARIABLE} is {own}, which is no folder")
        folders.insert(0, Path(own))
    return [place for folder in folders for place in (folder / "fashion-mnist", folder)]


def find_local_file(name: str) -> Path | None:
    """Return the reader's own copy of an official file, or None.

    Raises DataError where the first copy found is damaged.
    """
    for folder in local_folders():
        path = folder / name
        if path.is_file():
            if fault := find_fault(path):
                raise DataError(f"{path} is not the official file: {fault}; replace or remove it")
            return path
    return None


def find_fault(path: Path) -> str:
    """Return what is wrong with a copy of an official file, or an empty string."""
    size, sha256 = FILES[path.name]
    try:
        if path.stat().st_size != size:
            return f"{path.stat().st_size} bytes instead of {size}"
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            return "its SHA-256 differs"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""


def _download(name: str) -> Path:
    """Return the file from the user cache; pooch fetches it where it is missing or damaged."""
    with warnings.catch_warnings():  # it regrets the lack of a widget that nothing here wants
        warnings.simplefilter("ignore")
        import pooch

    pooch.get_logger().setLevel("WARNING")  # its progress bar says enough
    folder = Path(pooch.os_cache("siamese-utils")) / "fashion-mnist"
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
    for source in SOURCES:
        try:
            path = pooch.retrieve(
                source + name, f"sha256:{FILES[name][1]}", name, folder, downloader=downloader
            )
            return Path(path)
        except (OSError, ValueError):  # no network, no such file, a wrong hash: the next source
            continue
    looked = ", ".join(str(place) for place in [*local_folders()[::2], folder])
    raise DataError(
        f"{name} is not in {looked} and could not be downloaded; "
        f"put the four official files into a folder and set {settings.DATA_VARIABLE} to it"
    )


def read_idx(path: Path) -> np.ndarray:
    """Return the array of a gzipped IDX file of unsigned bytes.

    Raises DataError where the header and the content disagree.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or not dimensions or len(content) < start:
        raise DataError(f"{path} has no IDX header of unsigned bytes")
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    if (shape < 0).any() or len(content) - start != shape.prod(dtype=np.int64):
        raise DataError(
            f"{path} announces {shape.tolist()} values and holds {len(content) - start}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
