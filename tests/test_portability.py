"""The report runs on any processor: older instruction sets, other precisions, threads and seeds.

Each run is a process of its own, as a reader starts it on such a machine. The default is the whole
report that `test_run_all.py` looks at. What depends on the processor most is run whole in the other
precision; the rest is run on the page that compares most numbers with each other.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from siamese_utils import settings
from siamese_utils.publishing import publish
from siamese_utils.training import machine

pytestmark = pytest.mark.slow

WHOLE = ["--dataset", "digits", "--profile", "quick"]
PAGE = [*WHOLE, "--only", "05", "--no-pdf"]
AUTO = {settings.PRECISION_VARIABLE: ""}
FLAGS = Path("/proc/cpuinfo").read_text(encoding="utf-8") if os.name == "posix" else ""


def needs(flag):
    reason = f"this processor has no {flag}, so it cannot be held back to it"
    return pytest.mark.skipif(flag not in FLAGS.split(), reason=reason)


@pytest.fixture
def run(start, tmp_path):
    """A function that makes a report in a fresh store and returns the facts about it."""

    def run_it(*arguments, **variables):
        output = tmp_path / "report"
        folders = {settings.CACHE_VARIABLE: str(tmp_path / "store")}
        process = start(*arguments, "--output", str(output), **(AUTO | folders | variables))
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert not err
        return json.loads((output / "results" / publish.MANIFEST).read_text(encoding="utf-8"))

    return run_it


@pytest.mark.skipif(not machine.can_run_bfloat16(), reason="TensorFlow has no bfloat16 here")
def test_the_whole_report_in_the_other_precision(run):
    other = {"float32": "bfloat16", "mixed_bfloat16": "float32"}[machine.choose_precision("auto")]
    facts = run(*WHOLE, "--precision", other)
    assert facts["precision"].removeprefix("mixed_") == other


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param("AVX2", marks=needs("avx2")),
        pytest.param("AVX512_CORE", marks=needs("avx512f")),
    ],
)
def test_a_page_on_an_older_processor(run, limit):
    facts = run(*PAGE, **{machine.ISA_VARIABLE: limit})
    assert facts["precision"] == "float32"


def test_a_page_without_onednn(run):
    assert run(*PAGE, TF_ENABLE_ONEDNN_OPTS="0")["precision"] == "float32"


def test_a_page_with_one_thread(run):
    run(*PAGE, "--workers", "1", **dict.fromkeys(machine.THREAD_VARIABLES, "1"))


def test_a_page_with_other_numbers_of_seeds(run, whole_run, tmp_path):
    shutil.copytree(whole_run.store, tmp_path / "store")  # which has two seeds
    for seeds in (1, 3):
        assert run(*PAGE, "--seeds", str(seeds))["seeds"] == seeds
