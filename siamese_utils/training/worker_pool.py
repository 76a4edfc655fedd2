"""Pools of worker processes that end with this process."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import Any

from siamese_utils import cli_utils
from siamese_utils.training.machine import THREAD_VARIABLES

TERMINATE_SECONDS = 10  # until a process that was asked to end is killed
PR_SET_PDEATHSIG = 1  # from Linux's sys/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends; has no effect on other systems."""
    if _libc:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def process_pool(workers: int, sharing: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes, which an error or Ctrl-C in the block ends.

    A process starts when there is work for it.

    Args:
        workers: Number of processes in the pool.
        sharing: Number of processes that share the cores, if there are others outside this pool.
    """
    sharing = sharing or workers
    threads = max(1, (os.cpu_count() or 1) // sharing) if sharing > 1 else None
    already_running = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, _initialise, (threads,))
    try:
        yield executor
        executor.shutdown()
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        processes = set(multiprocessing.active_children()) - already_running
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(TERMINATE_SECONDS)
            process.kill()
        raise


class WorkerPool:
    """A pool of processes; if a process dies, only its own task fails."""

    def __init__(self, exit_stack: ExitStack, workers: int, sharing: int | None = None) -> None:
        """Create the pool; a process starts when there is a task for it.

        Args:
            exit_stack: Ends the processes when it is closed.
            workers: Number of processes in the pool.
            sharing: Number of processes that share the cores, if not `workers`.
        """
        self._create = lambda: exit_stack.enter_context(process_pool(1, sharing=sharing or workers))
        self._idle = [self._create() for _ in range(workers)]

    def run(
        self,
        work: Callable[[Any], Any],
        tasks: deque,
        renew: Callable[[Any], bool] = lambda result: False,
    ) -> Iterator[tuple[Any, Future]]:
        """Yield each task with its future, in the order in which the tasks end.

        Args:
            work: Function of a task, called in one of the processes.
            tasks: The tasks. The caller may append tasks during the iteration, such as one whose
                process died: the exception of its future is a `BrokenProcessPool`.
            renew: Whether a process that returned this result is replaced by a new one.
        """
        running = {}
        while tasks or running:
            while tasks and self._idle:
                executor, task = self._idle.pop(), tasks.popleft()
                running[executor.submit(work, task)] = executor, task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                executor, task = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool) or (not error and renew(future.result())):
                    executor.shutdown()
                    executor = self._create()
                self._idle.append(executor)
                yield task, future


def _initialise(threads: int | None) -> None:
    """Prepare a process: ignore Ctrl-C, end with the parent, and limit the number of threads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow's messages would disturb the display
    for number in cli_utils.known_signals("SIGINT", "SIGHUP"):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    threading.Thread(target=_watch_parent, daemon=True).start()  # for systems other than Linux
    if threads:
        for name in THREAD_VARIABLES:  # TensorFlow reads them when it is imported
            os.environ[name] = str(threads)


def _watch_parent() -> None:
    """End this process when its parent was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)
