"""What a caller's terminal, pipe and locale may be."""

import os
import subprocess

import pytest


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
