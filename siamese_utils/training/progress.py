"""How far a training is: told to run_all.py through a file, or shown as a bar by itself."""

import json
import os
import sys
from pathlib import Path

from tqdm import tqdm

from siamese_utils import settings


class Progress:
    """The progress of one training: use as a context, call `epoch_done` after each epoch."""

    def __init__(self, label: str, num_epochs: int) -> None:
        """Announce a training that is about to start."""
        self.label, self.num_epochs, self.epoch = label, num_epochs, 0
        self.bar: tqdm | None = None

    def __enter__(self) -> "Progress":
        """Start telling."""
        if not os.environ.get(settings.PROGRESS_VARIABLE):
            # in a notebook the standard error stands in red, and a widget would load a script
            stream = sys.stdout if "ipykernel" in sys.modules else sys.stderr
            self.bar = tqdm(total=self.num_epochs, desc=self.label, unit="epoch", file=stream)
        self._tell("training")
        return self

    def epoch_done(self) -> None:
        """Count one epoch."""
        self.epoch += 1
        if self.bar is not None:
            self.bar.update()
        self._tell("training")

    def __exit__(self, *error: object) -> None:
        """Stop telling."""
        if self.bar is not None:
            self.bar.close()
        self._tell("failed" if error[0] else "trained")

    def _tell(self, state: str) -> None:
        path = os.environ.get(settings.PROGRESS_VARIABLE)
        if path:
            line = {"training": self.label, "state": state}
            line |= {"epoch": self.epoch, "epochs": self.num_epochs}
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
