"""Fashion-MNIST: finds or downloads the four official files, verifies and reads them."""

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
    """Data files are missing or damaged; the message says where they belong."""


def read() -> tuple[np.ndarray, np.ndarray]:
    """Read Fashion-MNIST, the official training and test parts together.

    Returns:
        Images (70000, 28, 28) uint8 and labels (70000,) int64.

    Raises:
        DataError: As in `fetch`.
    """
    paths = fetch()
    images, labels = (
        np.concatenate([read_idx(paths[f"{part}-{kind}-ubyte.gz"]) for part in ("train", "t10k")])
        for kind in ("images-idx3", "labels-idx1")
    )
    return images, labels.astype(np.int64)


def fetch() -> dict[str, Path]:
    """Return the paths of the verified official files by name.

    A local copy is used if there is one, otherwise the file is downloaded.

    Raises:
        DataError: A local copy is damaged (it is left unchanged), or there is none and the download
            fails.
        ValueError: As in `local_folders`.
    """
    return {name: find_local_file(name) or _download(name) for name in FILES}


def local_folders() -> list[Path]:
    """Return the folders that may hold local copies, in the order in which they are searched.

    Raises:
        ValueError: SIAMESE_DATA_DIR is set and is not a folder.
    """
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    folders = [settings.ROOT.parent / "shared", keras_home / "datasets"]
    if data_dir := os.environ.get(settings.DATA_VARIABLE):
        if not Path(data_dir).is_dir():
            raise ValueError(f"{settings.DATA_VARIABLE} is {data_dir}, which is not a folder")
        folders.insert(0, Path(data_dir))
    return [path for folder in folders for path in (folder / "fashion-mnist", folder)]


def find_local_file(name: str) -> Path | None:
    """Return the first local copy of an official file, or None.

    Raises:
        DataError: That copy is damaged.
    """
    for folder in local_folders():
        path = folder / name
        if path.is_file():
            if fault := find_fault(path):
                raise DataError(f"{path} is not the official file: {fault}; replace or remove it")
            return path
    return None


def find_fault(path: Path) -> str:
    """Return what is wrong with a copy of an official file; an empty string if nothing is."""
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
    """Return an official file in the user's cache; download it if it is missing or damaged."""
    with warnings.catch_warnings():  # tqdm warns that Jupyter widgets are not installed
        warnings.simplefilter("ignore")
        import pooch

    pooch.get_logger().setLevel("WARNING")  # the progress bar is enough
    folder = Path(pooch.os_cache("siamese-utils")) / "fashion-mnist"
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
    for source in SOURCES:
        try:
            path = pooch.retrieve(
                source + name, f"sha256:{FILES[name][1]}", name, folder, downloader=downloader
            )
            return Path(path)
        except (OSError, ValueError):  # no network, no such file, or a wrong hash
            continue
    searched = ", ".join(map(str, [*local_folders()[::2], folder]))
    raise DataError(
        f"{name} is not in {searched} and could not be downloaded; "
        f"put the four official files into a folder and set {settings.DATA_VARIABLE} to it"
    )


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes.

    Returns:
        An array of uint8, in the shape that the header declares.

    Raises:
        DataError: The file is not a complete gzip file, has no IDX header of unsigned bytes, or
            has another length than its header declares.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a complete gzip file ({error}); replace it") from error
    num_dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * num_dimensions
    if content[:3] != b"\0\0\x08" or not num_dimensions or len(content) < start:
        raise DataError(f"{path} has no IDX header of unsigned bytes; replace it")
    shape = np.frombuffer(content, ">i4", num_dimensions, offset=4)
    if (shape < 0).any() or len(content) - start != shape.prod(dtype=np.int64):
        raise DataError(
            f"{path} has {len(content) - start} bytes of data, but its header declares the shape "
            f"{shape.tolist()}; replace it"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
