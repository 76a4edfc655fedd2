import json
import os
import subprocess
import sys
from functools import cache

import pytest

from siamese_utils.learning import machine, store

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
PROGRAM = """
import json, os
if hasattr(os, "sched_setaffinity") and "ONE_CORE" in os.environ:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from siamese_utils.learning.machine import describe_machine
print(json.dumps(describe_machine()))
"""


@cache
def describe(**environment):
    """The record of this machine in a process with these variables alone."""
    variables = {*machine.THREAD_VARIABLES, ONEDNN}
    kept = {name: value for name, value in os.environ.items() if name not in variables}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def plain():
    return describe()


def held_back():
    return describe(**ONE_THREAD, **{ONEDNN: "0"}, ONE_CORE="yes")


def test_a_machine_says_what_changes_the_last_digits():
    found = machine.describe_machine()
    wanted = {"system", "architecture", "cores", "cores allowed", "features", "gpus", "oneDNN"}
    wanted |= {"threads within an operation", "threads between operations", "thread variables"}
    assert wanted <= set(found)
    assert 1 <= found["cores allowed"] <= found["cores"]
    assert set(found["features"]) <= set(machine.FEATURES)
    versions = store.library_versions()
    assert set(versions) == set(store.LIBRARIES) == {*versions, "tensorflow", "keras", "numpy"}
    assert {name: found[name] for name in versions} == versions
    assert json.loads(json.dumps(found)) == found


def test_one_thread_is_another_machine():
    assert plain()["thread variables"] == []
    found = held_back()["thread variables"]
    assert sorted(found) == [f"{name}={value}" for name, value in sorted(ONE_THREAD.items())]


def test_a_machine_without_onednn_is_another_one():
    assert plain()["oneDNN"] is True
    assert held_back()["oneDNN"] is False


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be held back here")
def test_cores_that_may_not_be_used_are_not_counted_as_allowed():
    assert plain()["cores allowed"] == len(os.sched_getaffinity(0))
    assert held_back()["cores allowed"] == 1
    assert held_back()["cores"] == plain()["cores"] == os.cpu_count()


def test_nothing_else_tells_the_same_machine_from_itself():
    told = {name for name in plain() if plain()[name] != held_back()[name]}
    assert told <= {"thread variables", "oneDNN", "cores allowed"}
    assert machine.describe_machine() == machine.describe_machine()


@pytest.mark.parametrize(
    ("vendor", "flags", "precision"),
    [
        ("", "", "float32"),
        ("AuthenticAMD", "avx2 avx512f", "float32"),
        ("AuthenticAMD", "avx512f avx512_bf16", "mixed_bfloat16"),
        ("GenuineIntel", "avx512f avx512_bf16", "float32"),
        ("GenuineIntel", "avx512_bf16 amx_bf16", "mixed_bfloat16"),
    ],
)
def test_bfloat16_is_for_processors_that_are_faster_in_it(monkeypatch, vendor, flags, precision):
    told = {"vendor_id": vendor, "flags": flags}
    monkeypatch.setattr(machine, "GPU_DEVICES", ())
    monkeypatch.setattr(machine, "_read_processor", told.get)
    machine.best_precision.cache_clear()
    assert machine.best_precision() == precision
    machine.best_precision.cache_clear()


def test_the_speed_is_that_of_a_processor():
    assert 1e9 < machine.float32_speed() < 1e14
    assert machine.float32_speed() == machine.float32_speed()
