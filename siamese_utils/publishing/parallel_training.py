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
from siamese_utils.publishing.worker_pool import WorkerPool
from siamese_utils.training import cache, study_plan, trainer, transfer
from siamese_utils.training.config import TrainingConfig
from siamese_utils.training.study_plan import Config, StudyPlan
from siamese_utils.training.transfer import Pretraining, Transfer

if TYPE_CHECKING:
    from distributed import Client, Future

MAX_WORKER_BYTES = 1.6e9  # of a worker between two trainings, beyond which it is renewed
MAX_LOSSES = 3  # of a worker, in a row, after which the run gives up


class WorkersLostError(Exception):
    """Workers died again and again, or do not fit; finished trainings are kept."""


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained, and whom to tell."""

    plan: StudyPlan
    steps: Sequence[Config]
    done: Callable[[Config], None]  # told of each finished training
    say: Callable[[str], None]

    def phases(self) -> tuple[list[Config], list[Config]]:
        """Return what others rest on, then these; in each the longest first."""
        steps = sorted(self.steps, key=study_plan.expected_seconds, reverse=True)
        first = [step for step in steps if isinstance(step, Pretraining)]
        return first, [step for step in steps if step not in first]


def train_locally(ahead: TrainingJob, workers: int) -> None:
    """Train and measure in so many processes.

    A lost worker costs its training, which is begun again. Raises WorkersLostError where that
    happens three times and none is finished in between, and what a training raises.
    """
    with ExitStack() as held:
        processes = WorkerPool(held, min(workers, len(ahead.steps)), sharing=workers)
        for steps in ahead.phases():
            _train_all(ahead, steps, processes)


def _train_all(ahead: TrainingJob, steps: Sequence[Config], processes: WorkerPool) -> None:
    """Train steps in processes. One that has grown is renewed: Keras keeps a part of each training."""
    waiting, losses = deque((step, ahead.plan.on_the_way(step)) for step in steps), 0
    for task, future in processes.run(
        _train_and_measure_memory, waiting, lambda size: size >= MAX_WORKER_BYTES
    ):
        try:
            future.result()
        except BrokenProcessPool:
            losses += 1
            waiting.appendleft(task)
            _report_loss(ahead, task[0], losses)
        else:
            losses = 0
            ahead.done(task[0])


def _report_loss(ahead: TrainingJob, step: Config, losses: int) -> None:
    """Say that a worker died, or raise WorkersLostError where that is too much."""
    if losses == MAX_LOSSES:
        raise WorkersLostError(
            f"a worker died {MAX_LOSSES} times; finished trainings are kept: "
            "run again, with fewer --workers where memory is short"
        )
    ahead.say(f"a worker was lost; begun anew: {step.label}")


def _train_and_measure_memory(task: tuple[Config, Sequence[int]]) -> int:
    """Train and measure a step, and return how much memory the process has, in bytes."""
    _train(*task)
    return psutil.Process().memory_info().rss


def _train(step: Config, milestones: Sequence[int]) -> None:
    import keras

    gc.freeze()  # what is loaded stays: clear_session need not look through it each time
    run = study_plan.train(step, milestones)
    if isinstance(step, TrainingConfig):
        pair_distances.of_trained([run])
    keras.utils.clear_session()  # or the process would grow faster with each training


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


def train_on_cluster(ahead: TrainingJob, address: str) -> None:
    """Train and measure on the workers of a Dask scheduler; what they find comes into the store.

    They share no disk with this machine or each other; what they send is checked. A lost worker
    costs its training, which Dask begins again elsewhere. Raises WorkersLostError where one step
    loses several workers, or a worker's package differs, and what a training raises.
    """
    from distributed import Client, KilledWorker
    from distributed import as_completed as completed

    with Client(address, timeout="10s") as client:
        for steps in ahead.phases():
            futures = {_submit(client, step, ahead.plan): step for step in steps}
            for future in completed(futures):
                step = futures.pop(future)
                try:
                    for key, content in future.result().items():
                        cache.import_file(key, content)
                except (KilledWorker, CancelledError, DataError, ValueError) as error:
                    raise WorkersLostError(f"{step.label}: {error}") from error
                if not cache.contains(study_plan.key_of(step)):
                    raise WorkersLostError(
                        f"{step.label}: a worker has another state of the package"
                    )
                future.release()  # or a worker that is lost later would cost this one too
                ahead.done(step)


def _submit(client: Client, step: Config, plan: StudyPlan) -> Future:
    """Send a step away, as this machine would train it, with the pretraining that it rests on."""
    milestones = plan.on_the_way(step)
    if isinstance(step, TrainingConfig):
        step = trainer.resolve(step)
    if not isinstance(step, Transfer):
        return client.submit(_train_remotely, step, milestones, pure=False)
    key = transfer.key_of(step.pretraining)
    content = client.scatter(cache.path_of(key).read_bytes(), broadcast=True)
    return client.submit(_train_remotely, step, milestones, key, content, pure=False)


_lock = threading.Lock()  # a training seeds Keras, and finds its store, for the whole process


def _train_remotely(
    step: Config, milestones: Sequence[int], known: str = "", content: bytes = b""
) -> dict[str, bytes]:
    """Train in a store of its own, in which one file is known, and return what came into it."""
    with _lock, tempfile.TemporaryDirectory() as folder:
        os.environ[settings.CACHE_VARIABLE] = folder
        if known:
            cache.import_file(known, content)
        _train(step, milestones)
        files = {path.stem: path.read_bytes() for path in Path(folder).glob("[!.]*.npz")}
        return {key: found for key, found in files.items() if key != known}
