"""All notebooks of a report: several at a time, and none again whose grounds have not changed."""

import functools
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from platform import python_version
from typing import Any

import nbformat
import numpy as np

from siamese_utils import settings
from siamese_utils.publishing import execute, html
from siamese_utils.publishing.chapters import RESULT_READERS, Chapter
from siamese_utils.publishing.execute import NotebookError
from siamese_utils.publishing.html import Body
from siamese_utils.publishing.worker_pool import WorkerPool
from siamese_utils.reporting import results
from siamese_utils.training import cache, machine

MAX_PROCESSES = 4  # each may load TensorFlow: a gigabyte
PACKAGE = Path(settings.__file__).parent
DEPENDENCIES = "grounds"  # what a kept copy rests on


class NotebooksFailedError(Exception):
    """One or more notebooks failed.

    Attributes:
        failures: One line for each, which names the notebook, its cell and the error.
    """

    def __init__(self, failures: list[str]) -> None:
        """Take the failures, in the order of the notebooks."""
        super().__init__("; ".join(failures))
        self.failures = failures


@dataclass(frozen=True)
class NotebookJob:
    """One notebook of a report, to be run."""

    chapter: Chapter
    parameters: dict[str, Any]
    data: str  # SHA-256 of the images
    folder: Path  # for the executed notebook and its results, and nobody else's
    others: Path  # the results of those that ran before it
    pages: dict[str, str]  # name of a notebook -> its page
    cell_hours: float  # that a cell may take


def run(jobs: Sequence[NotebookJob], say: Callable[[str, str], None]) -> dict[str, Body]:
    """Run notebooks and return their bodies by name; then their results lie in `others`.

    They are begun in their order, those that read the others' results after these. A notebook that
    fails does not keep the others from running, except those that would read its results.

    Args:
        jobs: The notebooks.
        say: Called with the name of each notebook that ends, and "unchanged" if its executed copy
            of an earlier run is used, the error if it failed, and otherwise nothing.

    Raises:
        NotebooksFailedError: One or more notebooks failed.
    """
    bodies, failures = {}, []
    readers = [job for job in jobs if job.chapter.name in RESULT_READERS]
    with ExitStack() as held:
        processes = WorkerPool(held, min(os.cpu_count() or 1, MAX_PROCESSES, len(jobs)))
        for part in ([job for job in jobs if job not in readers], readers):
            if failures and part:
                say(
                    ", ".join(job.chapter.name for job in part),
                    "not run: reads the others' results",
                )
                break
            for job, future in processes.run(_run_job, deque(part)):
                name = job.chapter.name
                try:
                    bodies[name], kept = future.result()
                    say(name, "unchanged" if kept else "")
                except BrokenProcessPool:
                    failures.append(f"{name}.ipynb: its process was killed; is memory short?")
                    say(name, "failed")
                except NotebookError as error:
                    failures.append(str(error))
                    say(name, "failed")
            if part and not failures:
                results.merge([job.folder / "results" for job in part], part[0].others)
    if failures:
        raise NotebooksFailedError(sorted(failures))
    return bodies


def _run_job(job: NotebookJob) -> tuple[Body, bool]:
    """Return a notebook's body, and whether its copy in the store is as good as a new run."""
    os.environ[settings.RESULTS_VARIABLE] = str(job.folder / "results")
    os.environ[settings.REPORT_RESULTS_VARIABLE] = str(job.others)
    (job.folder / "results").mkdir(parents=True, exist_ok=True)
    target = job.folder / f"{job.chapter.name}.ipynb"
    grounds = _dependencies(job)
    kept = _restore(job, grounds)
    if not kept:
        execute.execute(job.chapter, job.parameters, target, job.cell_hours)
        _save(job, grounds)
    body = html.render_body(job.chapter, nbformat.read(target, as_version=4), job.pages)
    return body, kept


def _dependencies(job: NotebookJob) -> str:
    """Return a digest of all that an executed notebook rests on, but for what it takes from the store."""
    files = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "publishing"]
    files += [
        PACKAGE / "publishing" / "chapters.py",
        job.chapter.path,
        *settings.BENCHMARK.glob("*.*"),
    ]
    if job.chapter.name in RESULT_READERS:
        files += [*job.others.iterdir(), *settings.NOTEBOOKS.glob("*.ipynb"), settings.CITATION]
    digests = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]
    others = [job.data, machine.best_precision(), python_version(), _installed_packages()]
    return hashlib.sha256(json.dumps([sorted(digests), others]).encode()).hexdigest()


@functools.cache
def _installed_packages() -> list[str]:
    return sorted(f"{found.name} {found.version}" for found in distributions())


def _key_of(job: NotebookJob) -> str:
    """Return the name of a notebook's copy in the store: there is one for each set of parameters."""
    return cache.make_key({"notebook": job.chapter.name, "values": job.parameters}, [])


def _save(job: NotebookJob, grounds: str) -> None:
    """Keep an executed notebook and the results that it wrote."""
    files = [*job.folder.glob("*.ipynb"), *(job.folder / "results").iterdir()]
    contents = {str(path.relative_to(job.folder)): path.read_bytes() for path in files}
    contents[DEPENDENCIES] = grounds.encode()
    arrays = {name: np.frombuffer(content, np.uint8) for name, content in contents.items()}
    cache.save_arrays(_key_of(job), arrays, compress=True)


def _restore(job: NotebookJob, grounds: str) -> bool:
    """Bring a kept notebook and its results back, if all that they rest on is as it was."""
    arrays = cache.load_arrays(_key_of(job)) or {}
    contents = {name: array.tobytes() for name, array in arrays.items()}
    used = contents.get(f"results/{cache.USED_FILE}", b"").decode().splitlines()
    if contents.pop(DEPENDENCIES, b"") != grounds.encode() or not all(
        map(cache.is_unchanged, used)
    ):
        (job.folder / "results" / cache.USED_FILE).unlink(
            missing_ok=True
        )  # it did not use this copy
        return False
    for name, content in contents.items():
        place = "results" if name.startswith("results/") else ""
        (job.folder / place / Path(name).name).write_bytes(content)
    return True
