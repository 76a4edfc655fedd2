"""Train ahead of the notebooks, in several processes: they then find all in the store."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

from siamese_utils.learning import plans
from siamese_utils.learning.experiment import Experiment
from siamese_utils.learning.machine import THREAD_VARIABLES
from siamese_utils.learning.plans import Plan, Step
from siamese_utils.learning.transfer import Pretraining
from siamese_utils.measuring import distances

LOSSES = 3  # of a worker, in a row, after which the run gives up


class WorkersLostError(Exception):
    """Workers died again and again; finished trainings are kept."""


def train_ahead(
    plan: Plan, steps: Sequence[Step], workers: int, say: Callable[[str], None]
) -> None:
    """Train the steps of a plan and measure them, in so many processes; the longest ones first.

    A lost worker costs its training, which is begun again. Raises WorkersLostError where that
    happens three times, and what a training raises.
    """
    first = [step for step in steps if isinstance(step, Pretraining)]  # transfers rest on them
    for phase in (first, [step for step in steps if step not in first]):
        waiting = sorted(phase, key=plans.expected_seconds, reverse=True)
        losses = 0
        while waiting:
            done = _train_until_lost(plan, waiting, workers)
            waiting = [step for step in waiting if step not in done]
            losses = losses + 1 if waiting else 0
            if losses == LOSSES:
                raise WorkersLostError(
                    f"a worker died {LOSSES} times; finished trainings are kept: "
                    "run again, with fewer --workers where memory is short"
                )
            if waiting:
                say(f"a worker was lost; {len(waiting)} trainings are begun anew")


def _train_until_lost(plan: Plan, steps: Sequence[Step], workers: int) -> set[Step]:
    """Train, and return the steps that were done: all, or those before a worker was lost."""
    done: set[Step] = set()
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _set_threads, (threads,))
    try:
        futures = {pool.submit(partial(_work, plan), step): step for step in steps}
        for future in as_completed(futures):
            future.result()
            done.add(futures[future])
    except BrokenProcessPool:
        pass
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return done


def _set_threads(threads: int) -> None:
    """Keep the workers out of each other's way; TensorFlow reads this when it is loaded."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)


def _work(plan: Plan, step: Step) -> None:
    run = plans.train(step, plan)
    if isinstance(step, Experiment):
        distances.of_runs([run])
