"""The report runs on any processor: older instruction sets, other precisions, threads and seeds.

Each run is a separate process, as a reader starts it on such a machine. The default is the whole
report that `test_run_all.py` tests. The precision affects results most, so the other precision is
tested on three pages; the rest is tested on the page that compares most numbers with each other.
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

SMOKE = ["--dataset", "digits", "--profile", "smoke", "--no-pdf"]
PAGE = [*SMOKE, "--only", "05"]
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


# Where bfloat16 is not the default, TensorFlow may emulate it, which takes hours.
@pytest.mark.skipif(not machine.prefers_bfloat16(), reason="this processor has no fast bfloat16")
def test_pages_in_float32_where_bfloat16_is_the_default(run):
    facts = run(*SMOKE, "--only", "03", "05", "08", "--precision", "float32")
    assert facts["precision"] == "float32"


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
