"""The progress of a training run, for the display of `run_all.py` or as a progress bar."""

import json
import os
import sys
from pathlib import Path

from tqdm import tqdm

from siamese_utils import settings


class Progress:
    """Reporter of the progress of one training run; a context manager.

    If the environment variable SIAMESE_PROGRESS_FILE is set, each change appends a line of JSON to
    that file, from which `run_all.py` makes its display. Otherwise a bar is shown.
    """

    def __init__(self, label: str, num_epochs: int) -> None:
        """Initialise the reporter.

        Args:
            label: Name of the run in the display.
            num_epochs: Number of calls of `epoch_done` to expect.
        """
        self.label, self.num_epochs, self.epoch = label, num_epochs, 0
        self.bar: tqdm | None = None

    def __enter__(self) -> "Progress":
        """Report the start of the run."""
        if not os.environ.get(settings.PROGRESS_VARIABLE):
            # Jupyter shows standard error in red, and tqdm's widget would load a script.
            in_kernel = type(sys.stdout).__module__.startswith("ipykernel")
            stream = sys.stdout if in_kernel else sys.stderr
            self.bar = tqdm(total=self.num_epochs, desc=self.label, unit="epoch", file=stream)
        self._report("training")
        return self

    def epoch_done(self) -> None:
        """Report the end of an epoch."""
        self.epoch += 1
        if self.bar is not None:
            self.bar.update()
        self._report("training")

    def __exit__(self, *error: object) -> None:
        """Report the end of the run."""
        if self.bar is not None:
            self.bar.close()
        self._report("failed" if error[0] else "trained")

    def _report(self, state: str) -> None:
        path = os.environ.get(settings.PROGRESS_VARIABLE)
        if path:
            event = {"training": self.label, "state": state}
            event |= {"epoch": self.epoch, "epochs": self.num_epochs}
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
