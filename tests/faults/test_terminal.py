"""What a caller's terminal, locale, home and folders may be."""

import os
import shutil
import subprocess
import sys

import pytest

from siamese_utils import settings

pytestmark = pytest.mark.slow


@pytest.mark.fault("stdout is a pipe that nobody reads any more", "the report is made, exit 0")
def test_a_run_goes_on_when_nobody_listens(start_series, tmp_path):
    listening, stdout = os.pipe()
    os.close(listening)
    process = start_series("print('done')", stdout=stdout, stderr=subprocess.PIPE, text=True)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert not err
    assert (tmp_path / "report" / "01-a.html").exists()


@pytest.mark.fault("stdin, stdout and stderr are closed", "the report is made, exit 0")
def test_a_run_needs_no_streams(start_series, tmp_path):
    def close_all():
        for number in range(3):
            os.close(number)

    assert start_series("print('done')", preexec_fn=close_all).wait() == 0
    assert "done" in (tmp_path / "report" / "01-a.html").read_text()


@pytest.mark.fault("the locale has no letters beyond ASCII", "the report is made, exit 0")
def test_a_run_needs_no_locale(start_series, tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = start_series("print('naïve ±')", env=plain, stderr=subprocess.PIPE)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "naïve ±" in (tmp_path / "report" / "01-a.html").read_text(encoding="utf-8")


@pytest.mark.fault("no home folder", "the report is made, exit 0")
def test_a_run_needs_no_home(start_series, tmp_path):
    folders = {"HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent", "TMPDIR": str(tmp_path)}
    process = start_series("print('done')", env=folders, stderr=subprocess.PIPE)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "done" in (tmp_path / "report" / "01-a.html").read_text()


@pytest.mark.fault(
    "the project lies in a path of 1,000 letters, some of them no ASCII",
    "the report is made, exit 0",
)
def test_a_long_path(tmp_path, write_notebook):
    project = tmp_path.joinpath(*["naïve ± {long} folder" * 5] * 10)
    shutil.copytree(settings.ROOT / "siamese_utils", project / "siamese_utils")
    shutil.copy(settings.ROOT / "run_all.py", project)
    write_notebook(project / "notebooks", "print('done')")
    options = ["--dataset", "digits", "--no-pdf", "--only", "01"]
    done = subprocess.run(
        [sys.executable, "run_all.py", *options], cwd=project, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert "done" in (project / "reports" / "partial" / "01-a.html").read_text()
