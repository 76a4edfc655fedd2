"""Command-line helpers: one-line errors, standard streams and signals."""

import argparse
import os
import signal
import sys
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def exit_with(program: str, status: int, reason: str) -> int:
    """Print in one line why a program ends, and return its exit status."""
    print(f"{program}: {' '.join(reason.split())}", file=sys.stderr)
    return status


def open_streams() -> None:
    """Open the standard streams that are closed, and have output replace unencodable characters.

    Jupyter kernels inherit the streams and cannot start without them.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")


def silence_libraries() -> None:
    """Discard output of native libraries, such as TensorFlow's log; keep Python's `sys.stderr`."""
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def known_signals(*names: str) -> list[signal.Signals]:
    """Return the signals of these names that the system has; Windows has no SIGHUP."""
    return [known for known in signal.Signals if known.name in names]


def handle_signals() -> None:
    """Raise KeyboardInterrupt on SIGINT, SIGTERM or SIGHUP, and exit at once on a second one."""

    def interrupt(*_: object) -> None:
        for handled in handled_signals:
            signal.signal(handled, lambda *_: os._exit(130))
        raise KeyboardInterrupt

    # Python's resource tracker, a process of its own, would warn about what the second Ctrl-C leaves
    # behind. It reads this variable when the first process is started.
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker"
    # A signal that the caller ignores stays ignored, such as SIGHUP under nohup.
    known = known_signals("SIGINT", "SIGTERM", "SIGHUP")
    handled_signals = [s for s in known if signal.getsignal(s) != signal.SIG_IGN]
    for handled in handled_signals:
        signal.signal(handled, interrupt)
