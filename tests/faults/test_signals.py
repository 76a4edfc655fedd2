"""A run that is told to end, in each of its phases, once and twice."""

import signal
import subprocess
import time

import pytest
from test_kernels import is_running, wait_for

from siamese_utils.cli_utils import known_signals

pytestmark = pytest.mark.slow


CELL = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep({seconds})"
SIGNALS = [one.name for one in known_signals("SIGINT", "SIGTERM", "SIGHUP")]


@pytest.fixture
def begin(start_series, tmp_path, make_old_report):
    """A function that starts a run in place of an old report, which waits in its only cell."""

    def begin_it(seconds=60, with_pdf=False):
        make_old_report(tmp_path / "report")
        process = start_series(
            CELL.format(seconds=seconds),
            with_pdf=with_pdf,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_all,
        )
        file = tmp_path / "notebooks" / "pid"
        wait_for(lambda: file.exists() and file.read_text())
        return process, int(file.read_text())

    return begin_it


def heed_all():
    """Heed what a shell may have had these tests ignore."""
    for name in SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def old_report_stands(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "results"]
    assert (folder / "index.html").read_text() == "the old report"


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.fault(
    "SIGINT, SIGTERM or SIGHUP while a cell runs",
    "exit 130, one line; the kernel ends, the old report stays",
)
def test_a_signal_while_a_cell_runs(begin, tmp_path, name):
    process, kernel = begin()
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "run_all.py: stopped; finished trainings are kept, the old report stands\n"
    wait_for(lambda: not is_running(kernel), seconds=10)
    old_report_stands(tmp_path / "report")


@pytest.mark.fault(
    "SIGTERM while the pages and the PDF are made", "exit 130, one line; the old report stays"
)
def test_a_signal_while_pages_are_made(begin, tmp_path):
    process, _ = begin(seconds=0, with_pdf=True)
    while "PDF" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.count("\n") == 1
    old_report_stands(tmp_path / "report")


@pytest.mark.fault(
    "Ctrl-C twice at once", "it ends without a traceback; so does the kernel, the old report stays"
)
def test_ctrl_c_twice(begin, tmp_path, start_series):
    process, kernel = begin()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, err = process.communicate(timeout=30)
    # Python itself ends by the signal where it comes when all else is over
    assert process.returncode in (130, -signal.SIGINT)
    assert err.count("\n") <= 1
    wait_for(lambda: not is_running(kernel), seconds=10)
    assert (tmp_path / "report" / "index.html").read_text() == "the old report"
    again = start_series("print('done')")  # what was left does not hinder the next run
    assert again.wait() == 0
    assert "done" in (tmp_path / "report" / "01-a.html").read_text()


@pytest.mark.fault("SIGHUP to a run under nohup", "the report is made, exit 0")
def test_nohup_is_heeded(start_series, tmp_path):
    process = start_series(
        CELL.format(seconds=2),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for((tmp_path / "notebooks" / "pid").exists)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0
