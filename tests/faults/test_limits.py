"""A system that is short of room: for files, or for memory."""

import resource
import subprocess
from functools import partial

import pytest
from test_signals import old_report_stands

pytestmark = pytest.mark.slow

WRITES = """
import numpy as np, pandas as pd
from siamese_utils.training import cache
from siamese_utils.reporting import results

results.save(pd.DataFrame({"x": np.arange(20_000)}), "table")  # 110 kB
cache.cached({"test": 1}, [], lambda: {"x": np.random.default_rng(0).random(40_000)})  # 320 kB
print("word " * 70_000)  # 350 kB, and its page a third more
"""


def limit(kind, most):
    resource.setrlimit(kind, (most, most))


@pytest.mark.parametrize("most", [2_000, 50_000, 250_000, 360_000])
@pytest.mark.fault(
    "no file may grow beyond a limit, at four sizes: notebook, results, store, page",
    "exit 1, one line; the old report stays",
)
def test_a_full_disk(start_series, make_old_report, tmp_path, most):
    make_old_report(tmp_path / "report")
    process = start_series(
        WRITES,
        with_pdf=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(limit, resource.RLIMIT_FSIZE, most),
    )
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.count("\n") == 1, err
    assert "too large" in err
    old_report_stands(tmp_path / "report")


@pytest.mark.fault("a cell wants more memory than there is", "exit 1; one line names the cell")
def test_out_of_memory(start_series, make_old_report, tmp_path):
    make_old_report(tmp_path / "report")
    process = start_series(
        "room = bytearray(2**36)",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(limit, resource.RLIMIT_AS, 2**34),
    )
    _, err = process.communicate()
    assert process.returncode == 1
    assert err == "run_all.py: 01-a.ipynb, cell 3: MemoryError:\n"
    old_report_stands(tmp_path / "report")
