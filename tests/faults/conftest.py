"""A whole run on a series of one small notebook, in processes of its own."""

import os
import subprocess
import sys

import pytest

from siamese_utils import settings

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run_all
run_all.cli_utils.open_streams()
run_all.cli_utils.handle_signals()
run_all.settings.NOTEBOOKS = Path(sys.argv[2])
sys.exit(run_all.main(sys.argv[3:]))
"""


@pytest.fixture
def start_series(tmp_path, write_notebook):
    """A function that starts run_all.py on a notebook 01-a with this code, writing to `report`."""

    def start(code, *arguments, with_pdf=False, **how):
        folder = tmp_path / "notebooks"
        write_notebook(folder, code)
        own = ["--dataset", "digits", "--output", str(tmp_path / "report")]
        own += [] if with_pdf else ["--no-pdf"]
        command = [sys.executable, "-c", RUN, str(settings.ROOT), str(folder), *own, *arguments]
        variables = {settings.CACHE_VARIABLE: str(tmp_path / "store")} | how.pop("env", {})
        return subprocess.Popen(command, env=os.environ | variables, **how)

    return start
