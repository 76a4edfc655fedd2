"""What run_all.py says while it works: one live line in a terminal, plain lines elsewhere."""

import json
import threading
import time
from pathlib import Path

from rich.console import Console

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_PER_NOTEBOOK = 12  # to start a kernel, measure and draw, beside any training


class Status:
    """The state of a run: use as a context. A thread reads how far the trainings are."""

    def __init__(self, work: list[float], progress: Path, console: Console) -> None:
        """Take the seconds of training expected of each notebook, in their order.

        progress: the file in which `progress.Progress` tells of trainings.
        """
        self.waiting = list(work)
        self.progress, self.console = progress, console
        self.start = time.monotonic()
        self.now, self.training = "", ""
        self.pace = 1.0  # seconds taken for each one expected, by the notebooks done
        self.taken = self.expected = self.taken_in_chapter = 0.0
        self.last_at: dict[str, float] = {}  # of each training
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
        """Say what is being done now: a notebook's name, or a step of the rendering."""
        self.now, self.training = text, ""
        self.say(text)

    def cell(self, number: int, total: int) -> None:
        """Say at which cell the notebook is."""
        self.now = f"{self.now.split(', cell')[0]}, cell {number} of {total}"

    def chapter_done(self) -> None:
        """Count the notebook at hand, whether it trained now or found all in the store."""
        expected = self.waiting.pop(0)
        if expected and self.taken_in_chapter:
            self.taken, self.expected = self.taken + self.taken_in_chapter, self.expected + expected
            self.pace = self.taken / self.expected
        self.taken_in_chapter = 0.0

    def say(self, text: str) -> None:
        """Print a line that stays, after the time since the start."""
        clock = format_seconds(time.monotonic() - self.start)
        self.console.print(f"{clock:>8}  {text}", highlight=False, markup=False)

    def seconds_left(self) -> float:
        """Return how long the notebooks will still take."""
        work = [self.pace * seconds for seconds in self.waiting]
        here = max(0, sum(work[:1]) - self.taken_in_chapter)
        return here + sum(work[1:]) + SECONDS_PER_NOTEBOOK * len(work)

    def _watch(self) -> None:
        read = 0
        while not self.stop.wait(SECONDS_BETWEEN_LOOKS):
            text = self.progress.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1].splitlines()
            for line in whole[read:]:
                self._take(json.loads(line))
            read = len(whole)
            if self.line:
                self.line.update(self._text())

    def _take(self, told: dict) -> None:
        name = told["training"]
        if told["state"] == "training":
            self.taken_in_chapter += told["at"] - self.last_at.get(name, told["at"])
            self.last_at[name] = told["at"]
            self.training = f"{name}, epoch {told['epoch']} of {told['epochs']}"
        else:
            self.training = ""
            self.last_at.pop(name, None)
        if told["state"] == "trained":
            self.say(f"  trained: {name}{self._left()}")

    def _text(self) -> str:
        clock = format_seconds(time.monotonic() - self.start)
        parts = [clock, self.now, self.training]
        return ", ".join(part for part in parts if part) + self._left()

    def _left(self) -> str:
        return f" (about {format_seconds(self.seconds_left())} left)"


def format_seconds(seconds: float) -> str:
    """Return a duration as minutes and seconds, such as 3:07, or with hours as 1:03:07."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
