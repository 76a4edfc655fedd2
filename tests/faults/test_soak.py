"""A run that is killed again and again, at any instant, and then left alone."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from siamese_utils import settings
from siamese_utils.publishing import publish
from siamese_utils.training import cache

pytestmark = pytest.mark.slow


KILLS = int(os.environ.get("SIAMESE_KILLS", "4"))  # more of them for a longer soak
OPTIONS = ["--profile", "smoke", "--dataset", "digits", "--seeds", "1", "--no-pdf"]
OPTIONS += ["--only", "06", "--workers", "1"]
UNLIKE = {"trainings.jsonl", "report.json"}  # they tell times


def start(folder):
    command = [sys.executable, str(settings.ROOT / "run_all.py"), *OPTIONS]
    variables = {settings.CACHE_VARIABLE: str(folder / "store")}
    return subprocess.Popen(
        [*command, "--output", str(folder / "report")],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(folder):
    """Let a run end, and return its seconds."""
    begun = time.monotonic()
    process = start(folder)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return time.monotonic() - begun


def results_of(folder):
    found = (folder / "report" / "results").iterdir()
    return {path.name: path.read_bytes() for path in found if path.name not in UNLIKE}


def look_at(folder, monkeypatch):
    """What a reader and the next run find after a kill: whole files, and a whole report or none."""
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(folder / "store"))
    for path in (folder / "store").glob("*.npz"):
        assert cache.load_arrays(path.stem) is not None, path
    if (folder / "report" / publish.COMPLETE).exists():
        return  # on its way; the next run finishes it
    for name in publish.list_files(folder / "report"):
        assert (folder / "report" / name).exists()


@pytest.mark.processes
@pytest.mark.fault(
    "kill -9 of the run at random instants, four times in CI, more by hand",
    "nothing stored is torn; the run left alone gives the same results to the bit, and so it does "
    "where only the measuring of what was trained is missing",
)
def test_a_run_killed_at_any_instant_and_begun_again(tmp_path, monkeypatch):
    seconds = finish(tmp_path / "clean")
    rng = np.random.default_rng()
    kills = 0
    while kills < KILLS:
        process = start(tmp_path / "killed")
        time.sleep(rng.uniform(0, seconds / 2))  # what is stored brings the next run to its end
        if process.poll() is None:
            process.kill()
            kills += 1
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
        look_at(tmp_path / "killed", monkeypatch)
        if process.returncode == 0:  # it came to its end: there is to be something to lose again
            shutil.rmtree(tmp_path / "killed" / "store")
    finish(tmp_path / "killed")
    look_at(tmp_path / "killed", monkeypatch)
    clean = results_of(tmp_path / "clean")
    assert results_of(tmp_path / "killed") == clean
    # as if killed between each training and its measuring, which a kernel then does
    for path in (tmp_path / "killed" / "store").glob("*.npz"):
        if cache.load(path.stem) is None:
            path.unlink()
    finish(tmp_path / "killed")
    assert results_of(tmp_path / "killed") == clean
