"""What commands share: complaints of one line, streams that take any text, signals that are heeded."""

import argparse
import os
import signal
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """End with exit 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def end(program: str, status: int, reason: str) -> int:
    """Say in one line why a command ends, and return its exit status."""
    print(f"{program}: {' '.join(reason.split())}", file=sys.stderr)
    return status


def open_streams() -> None:
    """Have streams that take any text, whatever the caller closed or his locale lacks.

    A kernel inherits them, and cannot start without.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")


def hush_libraries() -> None:
    """Send what libraries write to the terminal past Python, such as TensorFlow's log, nowhere."""
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def known_signals(*names: str) -> list[signal.Signals]:
    """Return those of these signals that this system has; Windows has no SIGHUP."""
    return [one for one in signal.Signals if one.name in names]


def heed_signals() -> None:
    """End as after Ctrl-C when the run is told to end, or its terminal goes; at once the second time."""

    def stop(*_: object) -> None:
        for one in heeded:
            signal.signal(one, lambda *_: os._exit(130))  # whoever asks twice will not wait
        raise KeyboardInterrupt

    # Python's tracker of shared resources, a process of its own, would warn of what the second
    # Ctrl-C leaves to it. It reads this when the first process is started.
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker"
    # what the caller has us ignore stays ignored, as SIGHUP under nohup
    known = known_signals("SIGINT", "SIGTERM", "SIGHUP")
    heeded = [one for one in known if signal.getsignal(one) != signal.SIG_IGN]
    for one in heeded:
        signal.signal(one, stop)
