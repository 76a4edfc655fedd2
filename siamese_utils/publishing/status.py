"""The progress display of run_all.py: a live line in a terminal, plain lines elsewhere."""

import json
import threading
import time
from pathlib import Path

from rich.console import Console

POLL_SECONDS = 0.5
SECONDS_PER_NOTEBOOK = 6  # while several run at a time


class Status:
    """The progress display of a run, to be used as a context manager.

    A thread reads the file of progress and updates the display.

    Attributes:
        expected: Expected seconds of all training runs.
        trained: Expected seconds of the training runs that are finished.
        training: Name of each training run in progress -> its epoch as text.
        notebooks: Number of notebooks that are not finished.
    """

    def __init__(self, expected: float, notebooks: int, progress: Path, console: Console) -> None:
        """Initialise the display.

        Args:
            expected: Expected seconds of all training runs.
            notebooks: Number of notebooks that follow.
            progress: The file to which `progress.Progress` appends.
            console: Where the lines are printed.
        """
        self.expected, self.notebooks = expected, notebooks
        self.progress, self.console = progress, console
        self.start = self.last_event = time.monotonic()
        self.stage = ""
        self.training: dict[str, str] = {}
        self.trained = 0.0
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
        """Print the stage that begins."""
        self.stage = text
        self.last_event = time.monotonic()
        self.say(text)

    def training_finished(self, name: str, expected: float) -> None:
        """Count and print a finished training run, whose expected seconds are given."""
        self.trained += expected
        self.last_event = time.monotonic()
        self.say(f"  trained: {name}{self._left()}")

    def notebook_finished(self, name: str, remark: str) -> None:
        """Count a notebook, and print it with a remark, such as "unchanged" or "failed"."""
        self.notebooks -= 1
        self.say(f"  {name}{remark and f', {remark}'}")

    def say(self, text: str) -> None:
        """Print a line that stays, with the time since the start."""
        clock = format_seconds(time.monotonic() - self.start)
        self.console.print(f"{clock:>8}  {text}", highlight=False, markup=False, soft_wrap=True)

    def seconds_left(self) -> float:
        """Return the expected seconds until training runs and notebooks are finished."""
        pace = (self.last_event - self.start) / self.trained if self.trained else 1.0
        since = time.monotonic() - self.last_event
        trainings = max(0.0, pace * (self.expected - self.trained) - since)
        return trainings + SECONDS_PER_NOTEBOOK * self.notebooks

    def _watch(self) -> None:
        """Read the events in the file of progress until the display stops."""
        num_read = 0
        while not self.stop.wait(POLL_SECONDS):
            text = self.progress.read_text(encoding="utf-8")
            lines = text[: text.rfind("\n") + 1].splitlines()  # the last line may be incomplete
            for event in map(json.loads, lines[num_read:]):
                self.training.pop(event["training"], None)
                if event["state"] == "training":
                    self.training[event["training"]] = (
                        f"epoch {event['epoch']} of {event['epochs']}"
                    )
            num_read = len(lines)
            if self.line:
                self.line.update(self._text())

    def _text(self) -> str:
        clock = format_seconds(time.monotonic() - self.start)
        parts = [clock, self.stage, *(f"{name}, {epoch}" for name, epoch in self.training.items())]
        return ", ".join(part for part in parts if part) + self._left()

    def _left(self) -> str:
        return f" (about {format_seconds(self.seconds_left())} left)"


def format_seconds(seconds: float) -> str:
    """Return a duration as minutes and seconds, such as 3:07, or with hours as 1:03:07."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
