"""Train what the notebooks will ask for: in processes here, or on the machines of a cluster."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from siamese_utils import settings
from siamese_utils.data.datasets import DataError
from siamese_utils.evaluation import pair_distances
from siamese_utils.training import cache, trainer
from siamese_utils.training.config import Config
from siamese_utils.training.study_plan import StudyPlan
from siamese_utils.training.worker_pool import WorkerPool

if TYPE_CHECKING:
    from distributed import Client, Future

MAX_WORKER_BYTES = 1.6e9  # of a worker between two trainings, beyond which it is renewed
MAX_LOSSES = 3  # of a worker, in a row, after which the run gives up


class WorkersLostError(Exception):
    """Workers died again and again, or do not fit; finished trainings are kept."""


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained.

    Attributes:
        plan: Tells which shorter runs are stored on the way.
        configs: What to train.
        done: Called with each config that is trained.
        say: Called with a line to print.
    """

    plan: StudyPlan
    configs: Sequence[Config]
    done: Callable[[Config], None]
    say: Callable[[str], None]

    def phases(self) -> tuple[list[Config], list[Config]]:
        """Return what other configs require, then the others; in each the longest first."""
        configs = sorted(self.configs, key=lambda c: c.expected_seconds(), reverse=True)
        required = {one for config in configs for one in config.requires}
        first = [config for config in configs if config in required]
        return first, [config for config in configs if config not in required]


def train_locally(job: TrainingJob, workers: int) -> None:
    """Train and measure in parallel processes.

    A worker that dies costs its training run, which is started again.

    Args:
        job: What to train.
        workers: Number of processes.

    Raises:
        WorkersLostError: Workers died three times, and no run was finished in between.
        TrainingDivergedError: A loss, weight or embedding is not finite.
    """
    with ExitStack() as held:
        pool = WorkerPool(held, min(workers, len(job.configs)), sharing=workers)
        for configs in job.phases():
            _train_all(job, configs, pool)


def _train_all(job: TrainingJob, configs: Sequence[Config], pool: WorkerPool) -> None:
    """Train configs in a pool.

    A process that has grown is replaced, since Keras keeps a part of each training run in memory.
    """
    waiting, losses = deque((config, job.plan.milestones(config)) for config in configs), 0
    for task, future in pool.run(
        _train_and_measure_memory, waiting, lambda size: size >= MAX_WORKER_BYTES
    ):
        try:
            future.result()
        except BrokenProcessPool:
            losses += 1
            if losses == MAX_LOSSES:
                raise WorkersLostError(
                    f"a worker died {MAX_LOSSES} times; finished training runs are cached: "
                    "run again, with fewer --workers if memory is short"
                ) from None
            waiting.appendleft(task)
            job.say(f"a worker was lost; started again: {task[0].label}")
        else:
            losses = 0
            job.done(task[0])


def _train_and_measure_memory(task: tuple[Config, Sequence[int]]) -> int:
    """Train and measure a config, and return how much memory the process uses, in bytes."""
    _train(*task)
    return psutil.Process().memory_info().rss


def _train(config: Config, milestones: Sequence[int]) -> None:
    import keras

    gc.freeze()  # clear_session need not search through what is loaded already
    result = trainer.train(config, milestones)
    if config.has_test_pairs:
        pair_distances.of_trained([result])
    keras.utils.clear_session()  # otherwise the process would grow faster with each run


def check_scheduler(address: str) -> None:
    """Raise ValueError where no Dask scheduler with workers is at this address."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--scheduler needs Dask: pip install -e '.[cluster]'") from None
    try:
        with Client(address, timeout="10s") as client:
            workers = client.scheduler_info(n_workers=-1)["workers"]
    except (OSError, ValueError) as error:
        raise ValueError(f"--scheduler: no Dask scheduler at {address}: {error}") from error
    if not workers or any(worker["nthreads"] > 1 for worker in workers.values()):
        raise ValueError(
            f"--scheduler: {address} has no workers, or some with several threads, where one would "
            f"train and the others wait; start them with: dask worker {address} --nthreads 1"
        )


def train_on_cluster(job: TrainingJob, address: str) -> None:
    """Train and measure on the workers of a Dask scheduler, and import the results to the cache.

    The workers share no disk with this machine or each other; what they send is checked. A worker
    that is lost costs its training run, which Dask starts again elsewhere.

    Args:
        job: What to train.
        address: Of the scheduler, such as tcp://host:8786.

    Raises:
        WorkersLostError: One run lost several workers, or a worker has another version of the
            package.
        TrainingDivergedError: A loss, weight or embedding is not finite.
    """
    from distributed import Client, KilledWorker
    from distributed import as_completed as completed

    with Client(address, timeout="10s") as client:
        for configs in job.phases():
            futures = {_submit(client, config, job.plan): config for config in configs}
            for future in completed(futures):
                config = futures.pop(future)
                try:
                    for key, content in future.result().items():
                        cache.import_file(key, content)
                except (KilledWorker, CancelledError, DataError, ValueError) as error:
                    raise WorkersLostError(f"{config.label}: {error}") from error
                if not cache.contains(config.resolve().key()):
                    raise WorkersLostError(
                        f"{config.label}: a worker has another version of the package"
                    )
                future.release()  # otherwise a worker that is lost later would cost this run too
                job.done(config)


def _submit(client: Client, config: Config, plan: StudyPlan) -> Future:
    """Submit a config as this machine would train it, with the results that it requires."""
    config, milestones = config.resolve(), plan.milestones(config)
    keys = [required.resolve().key() for required in config.requires]
    files = {key: client.scatter(cache.path_of(key).read_bytes(), broadcast=True) for key in keys}
    return client.submit(_train_remotely, config, milestones, files, pure=False)


# Training sets the seeds of Keras, and the folder of the cache, for the whole process.
_lock = threading.Lock()


def _train_remotely(
    config: Config, milestones: Sequence[int], files: dict[str, bytes]
) -> dict[str, bytes]:
    """Train in an empty cache with these files, and return the files that were added: key -> bytes."""
    with _lock, tempfile.TemporaryDirectory() as folder:
        os.environ[settings.CACHE_VARIABLE] = folder
        for key, content in files.items():
            cache.import_file(key, content)
        _train(config, milestones)
        added = {path.stem: path.read_bytes() for path in Path(folder).glob("[!.]*.npz")}
        return {key: content for key, content in added.items() if key not in files}
