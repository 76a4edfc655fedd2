"""What may happen to the processes of a run."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

HOLDS_THE_LOCK = """
import os, re

open("pid", "w").write(str(os.getpid()))
re.match("(a+)+$", "a" * 60 + "b")  # takes for ever, in C, and lets no other thread run
"""


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a kernel ends when its cell does")
@pytest.mark.fault(
    "kill -9 of the run while a cell holds Python's lock", "the kernel ends within seconds"
)
def test_a_kernel_ends_with_the_run(start_series, tmp_path):
    process = start_series(HOLDS_THE_LOCK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    file = tmp_path / "notebooks" / "pid"
    wait_for(lambda: file.exists() and file.read_text())
    pid = int(file.read_text())
    assert is_running(pid)
    process.kill()
    process.wait()
    try:
        wait_for(lambda: not is_running(pid), seconds=20)
    finally:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
