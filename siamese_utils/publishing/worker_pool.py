"""Processes that work beside this one, and end when it does."""

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

TERMINATE_SECONDS = 10  # for a process that is told to

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Have Linux kill this process when its parent ends, whatever it is doing then."""
    if _libc:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def process_pool(workers: int, sharing: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """Offer so many processes, which share the cores; an error or Ctrl-C in the block ends them.

    No more of them are started than there is work for. sharing: how many processes share the
    cores, where there are others beside these.
    """
    sharing = sharing or workers
    threads = max(1, (os.cpu_count() or 1) // sharing) if sharing > 1 else None
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, _initialise, (threads,))
    try:
        yield executor
        executor.shutdown()
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        ours = set(multiprocessing.active_children()) - others
        for process in ours:
            process.terminate()
        for process in ours:
            process.join(TERMINATE_SECONDS)
            process.kill()
        raise


class WorkerPool:
    """Processes that each do one task at a time. One that dies costs its own task and no other."""

    def __init__(self, held: ExitStack, number: int, sharing: int | None = None) -> None:
        """Make the processes ready; none is started before there is a task for it.

        Args:
            held: Ends the processes when it is closed.
            number: How many processes there are.
            sharing: How many processes share the cores, if not `number`.
        """
        self._start = lambda: held.enter_context(process_pool(1, sharing=sharing or number))
        self._idle = [self._start() for _ in range(number)]

    def run(
        self,
        work: Callable[[Any], Any],
        waiting: deque,
        renew: Callable[[Any], bool] = lambda result: False,
    ) -> Iterator[tuple[Any, Future]]:
        """Yield each task with its future, in the order in which the tasks end.

        Args:
            work: Does a task, in one of the processes.
            waiting: The tasks. The caller may append some while this goes on, such as one whose
                process died: the exception of its future is a `BrokenProcessPool`.
            renew: Whether a process that returned this result is to be replaced by a fresh one.
        """
        running = {}
        while waiting or running:
            while waiting and self._idle:
                executor, task = self._idle.pop(), waiting.popleft()
                running[executor.submit(work, task)] = executor, task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                executor, task = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool) or (not error and renew(future.result())):
                    executor.shutdown()
                    executor = self._start()
                self._idle.append(executor)
                yield task, future


def _initialise(threads: int | None) -> None:
    """Leave Ctrl-C and the terminal to the parent, end with it, and keep to the threads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what TensorFlow says would tear the display
    for one in cli_utils.known_signals("SIGINT", "SIGHUP"):
        signal.signal(one, signal.SIG_IGN)
    end_with_parent()
    threading.Thread(target=_watch_parent, daemon=True).start()  # where there is no Linux
    if threads:
        for name in THREAD_VARIABLES:  # TensorFlow reads them when it is loaded
            os.environ[name] = str(threads)


def _watch_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # it was killed, and so could not end us
