"""Execution of the report's notebooks: in parallel, and only those whose dependencies changed."""

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
from siamese_utils.publishing.chapters import Chapter
from siamese_utils.publishing.execute import NotebookError
from siamese_utils.publishing.html import Body
from siamese_utils.reporting import results
from siamese_utils.training import cache, machine, replication
from siamese_utils.training.worker_pool import WorkerPool

MAX_PROCESSES = 4  # each may import TensorFlow, which takes a gigabyte
PACKAGE = Path(settings.__file__).parent
# These start first, since they evaluate the most networks; the others run beside them.
LONGEST_FIRST = ("09-new-classes", "08-baselines", "07-one-shot-transfer")
DEPENDENCIES = "dependencies"  # entry of a cached notebook with the digest of its dependencies


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
    """A notebook to execute.

    Attributes:
        chapter: The notebook.
        parameters: For papermill.
        data: SHA-256 of the images.
        folder: For the executed notebook and its results, used by no other job.
        merged_results: Folder of the results of the notebooks that ran before.
        pages: Name of a notebook -> its page.
        cell_hours: Most hours that a cell may take.
    """

    chapter: Chapter
    parameters: dict[str, Any]
    data: str
    folder: Path
    merged_results: Path
    pages: dict[str, str]
    cell_hours: float


def run(jobs: Sequence[NotebookJob], report: Callable[[str, str], None]) -> dict[str, Body]:
    """Execute notebooks, merge their results, and return the bodies of their pages by name.

    Chapters that read results run after all others. A notebook that fails does not keep the others
    from running, except those that would read its results.

    Args:
        jobs: The notebooks, in the order of their results.
        report: Called when a notebook ends, with its name and a remark: "unchanged" if the cached
            copy of an earlier run is used, "failed", or "".

    Raises:
        NotebooksFailedError: One or more notebooks failed.
    """
    bodies, failures = {}, []
    readers = [job for job in jobs if job.chapter.reads_results]
    with ExitStack() as held:
        pool = WorkerPool(held, min(os.cpu_count() or 1, MAX_PROCESSES, len(jobs)))
        for group in ([job for job in jobs if job not in readers], readers):
            if failures and group:
                names = ", ".join(job.chapter.name for job in group)
                report(names, "not run: reads the others' results")
                break
            for job, future in pool.run(_run_job, deque(_longest_first(group))):
                name = job.chapter.name
                try:
                    bodies[name], is_cached = future.result()
                    report(name, "unchanged" if is_cached else "")
                except BrokenProcessPool:
                    failures.append(f"{name}.ipynb: its process was killed; is memory short?")
                    report(name, "failed")
                except NotebookError as error:
                    failures.append(str(error))
                    report(name, "failed")
            if group and not failures:
                results.merge([job.folder / "results" for job in group], group[0].merged_results)
    if failures:
        raise NotebooksFailedError(sorted(failures))
    return bodies


def _longest_first(jobs: Sequence[NotebookJob]) -> list[NotebookJob]:
    names = [job.chapter.name for job in jobs]
    first = [jobs[names.index(name)] for name in LONGEST_FIRST if name in names]
    return first + [job for job in jobs if job not in first]


def _run_job(job: NotebookJob) -> tuple[Body, bool]:
    """Return the body of a notebook's page, and whether its cached copy was used."""
    os.environ[settings.RESULTS_VARIABLE] = str(job.folder / "results")
    os.environ[settings.REPORT_RESULTS_VARIABLE] = str(job.merged_results)
    (job.folder / "results").mkdir(parents=True, exist_ok=True)
    target = job.folder / f"{job.chapter.name}.ipynb"
    dependencies = _dependencies(job)
    is_cached = _restore(job, dependencies)
    if not is_cached:
        execute.execute(job.chapter, job.parameters, target, job.cell_hours)
        _save(job, dependencies)
    body = html.render_body(job.chapter, nbformat.read(target, as_version=4), job.pages)
    return body, is_cached


def _dependencies(job: NotebookJob) -> str:
    """Return a digest of all that an executed notebook depends on, except what it reads from the cache."""
    files = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "publishing"]
    files += [PACKAGE / "publishing" / "chapters.py", job.chapter.path]
    files += [*settings.BENCHMARK.glob("*.*"), *replication.FOLDER.glob("*.json")]
    if job.chapter.reads_results:
        files += [*job.merged_results.iterdir(), *settings.NOTEBOOKS.glob("*.ipynb")]
        files += [settings.CITATION]
    digests = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]
    others = [job.data, machine.best_precision(), python_version(), _installed_packages()]
    return hashlib.sha256(json.dumps([sorted(digests), others]).encode()).hexdigest()


@functools.cache
def _installed_packages() -> list[str]:
    return sorted(f"{package.name} {package.version}" for package in distributions())


def _key_of(job: NotebookJob) -> str:
    """Return the name of a notebook's copy in the cache: there is one for each set of parameters."""
    return cache.make_key({"notebook": job.chapter.name, "values": job.parameters}, [])


def _save(job: NotebookJob, dependencies: str) -> None:
    """Save an executed notebook and its results to the cache."""
    files = [*job.folder.glob("*.ipynb"), *(job.folder / "results").iterdir()]
    contents = {str(path.relative_to(job.folder)): path.read_bytes() for path in files}
    contents[DEPENDENCIES] = dependencies.encode()
    arrays = {name: np.frombuffer(content, np.uint8) for name, content in contents.items()}
    cache.save_arrays(_key_of(job), arrays, compress=True)


def _restore(job: NotebookJob, dependencies: str) -> bool:
    """Restore a notebook and its results from the cache, if none of its dependencies changed."""
    arrays = cache.load_arrays(_key_of(job)) or {}
    contents = {name: array.tobytes() for name, array in arrays.items()}
    used = contents.get(f"results/{cache.USED_FILE}", b"").decode().splitlines()
    is_valid = contents.pop(DEPENDENCIES, b"") == dependencies.encode()
    if not is_valid or not all(map(cache.is_unchanged, used)):
        # The look-up above was recorded as a use of the cache, which it was not.
        (job.folder / "results" / cache.USED_FILE).unlink(missing_ok=True)
        return False
    for name, content in contents.items():
        subfolder = "results" if name.startswith("results/") else ""
        (job.folder / subfolder / Path(name).name).write_bytes(content)
    return True
