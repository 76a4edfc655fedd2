"""What run_all.py says while it works: one live line in a terminal, plain lines elsewhere."""

import json
import threading
import time
from pathlib import Path

from rich.console import Console

POLL_SECONDS = 0.5
SECONDS_PER_NOTEBOOK = 6  # to start a kernel, measure and draw, beside others


class Status:
    """The state of a run: use as a context. A thread reads how far the trainings are."""

    def __init__(self, expected: float, notebooks: int, progress: Path, console: Console) -> None:
        """Take the seconds of training expected, and the number of notebooks that follow.

        progress: the file in which `progress.Progress` tells of trainings.
        """
        self.expected, self.notebooks = expected, notebooks
        self.progress, self.console = progress, console
        self.start = self.last = time.monotonic()
        self.now = ""
        self.training: dict[str, str] = {}  # what is trained now: name -> how far it is
        self.trained = 0.0  # seconds expected of what is trained
        self.stop = threading.Event()
        self.line = console.status("") if console.is_terminal else None
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Status":
        """Start the display."""
        if self.line:
            self.line.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the display."""
        self.stop.set()
        self.thread.join()
        if self.line:
            self.line.stop()

    def begin(self, text: str) -> None:
        """Say what is being done now."""
        self.now = text
        self.last = time.monotonic()
        self.say(text)

    def training_finished(self, name: str, expected: float) -> None:
        """Count a training, of which so many seconds were expected."""
        self.trained += expected
        self.last = time.monotonic()
        self.say(f"  trained: {name}{self._left()}")

    def notebook_finished(self, name: str, remark: str) -> None:
        """Count a notebook, and print its name with a remark, such as "unchanged" or "failed"."""
        self.notebooks -= 1
        self.say(f"  {name}{remark and f', {remark}'}")

    def say(self, text: str) -> None:
        """Print a line that stays, after the time since the start."""
        clock = format_seconds(time.monotonic() - self.start)
        self.console.print(f"{clock:>8}  {text}", highlight=False, markup=False, soft_wrap=True)

    def seconds_left(self) -> float:
        """Return how long trainings and notebooks will still take, by the pace so far."""
        pace = (self.last - self.start) / self.trained if self.trained else 1.0
        since = time.monotonic() - self.last
        trainings = max(0.0, pace * (self.expected - self.trained) - since)
        return trainings + SECONDS_PER_NOTEBOOK * self.notebooks

    def _watch(self) -> None:
        read = 0
        while not self.stop.wait(POLL_SECONDS):
            text = self.progress.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1].splitlines()
            for line in whole[read:]:
                self._take(json.loads(line))
            read = len(whole)
            if self.line:
                self.line.update(self._text())

    def _take(self, told: dict) -> None:
        self.training.pop(told["training"], None)
        if told["state"] == "training":
            self.training[told["training"]] = f"epoch {told['epoch']} of {told['epochs']}"

    def _text(self) -> str:
        clock = format_seconds(time.monotonic() - self.start)
        parts = [clock, self.now, *(f"{name}, {at}" for name, at in self.training.items())]
        return ", ".join(part for part in parts if part) + self._left()

    def _left(self) -> str:
        return f" (about {format_seconds(self.seconds_left())} left)"


def format_seconds(seconds: float) -> str:
    """Return a duration as minutes and seconds, such as 3:07, or with hours as 1:03:07."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
