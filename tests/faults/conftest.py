"""A whole run on a series of one small notebook, in processes of its own."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbformat import v4

from siamese_utils import settings

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run_all
run_all.open_streams()
run_all.settings.NOTEBOOKS = Path(sys.argv[2])
sys.exit(run_all.main(sys.argv[3:]))
"""


@pytest.fixture
def start_series(tmp_path):
    """A function that starts run_all.py on a notebook 01-a with this code, writing to `report`."""

    def start(code, *arguments, **how):
        folder = tmp_path / "notebooks"
        folder.mkdir()
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        parameters = v4.new_code_cell('profile = "full"\ndataset = "auto"\nseeds = 3')
        parameters.metadata["tags"] = ["parameters"]
        cells = [v4.new_markdown_cell("# T\n\n*Q?*"), parameters, v4.new_code_cell(code)]
        notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
        nbformat.write(notebook, folder / "01-a.ipynb")
        own = ["--dataset", "digits", "--output", str(tmp_path / "report"), "--no-pdf"]
        command = [sys.executable, "-c", RUN, str(settings.ROOT), str(folder), *own, *arguments]
        variables = {settings.STORE_VARIABLE: str(tmp_path / "store")} | how.pop("env", {})
        return subprocess.Popen(command, env=os.environ | variables, **how)

    return start
