import functools
import json
import os
import subprocess
import sys

import pytest

from siamese_utils import settings
from siamese_utils.training import cache, machine

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
PROGRAM = """
import json, os
if hasattr(os, "sched_setaffinity") and "ONE_CORE" in os.environ:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from siamese_utils.training.machine import describe_machine
print(json.dumps(describe_machine()))
"""


@functools.cache
def describe(**environment):
    """The record of this machine in a process with these variables alone."""
    variables = {*machine.THREAD_VARIABLES, ONEDNN, machine.ISA_VARIABLE}
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
    versions = cache.library_versions()
    assert set(versions) == set(cache.LIBRARIES) == {*versions, "tensorflow", "keras", "numpy"}
    assert {name: found[name] for name in versions} == versions
    assert json.loads(json.dumps(found)) == found


@pytest.mark.slow
def test_one_thread_is_another_machine():
    assert plain()["thread variables"] == []
    found = held_back()["thread variables"]
    assert sorted(found) == [f"{name}={value}" for name, value in sorted(ONE_THREAD.items())]


@pytest.mark.slow
def test_a_machine_without_onednn_is_another_one():
    assert plain()["oneDNN"] is True
    assert held_back()["oneDNN"] is False


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be held back here")
def test_cores_that_may_not_be_used_are_not_counted_as_allowed():
    assert plain()["cores allowed"] == len(os.sched_getaffinity(0))
    assert held_back()["cores allowed"] == 1
    assert held_back()["cores"] == plain()["cores"] == os.cpu_count()


@pytest.mark.slow
def test_a_processor_held_back_to_older_instructions_is_another_one():
    assert plain()["oneDNN limit"] == ""
    assert describe(**{machine.ISA_VARIABLE: "AVX2"})["oneDNN limit"] == "AVX2"


@pytest.mark.slow
def test_nothing_else_tells_the_same_machine_from_itself():
    told = {name for name in plain() if plain()[name] != held_back()[name]}
    assert told <= {"thread variables", "oneDNN", "cores allowed"}
    assert machine.describe_machine() == machine.describe_machine()


@pytest.fixture
def processor(monkeypatch):
    """A function that has this machine be one with a processor of this vendor, with these flags."""

    def pretend(vendor, flags, **environment):
        monkeypatch.setattr(machine, "GPU_DEVICES", ())
        monkeypatch.setattr(machine, "_read_processor", {"vendor_id": vendor, "flags": flags}.get)
        for name in (ONEDNN, machine.ISA_VARIABLE, settings.PRECISION_VARIABLE):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        machine.prefers_bfloat16.cache_clear()

    yield pretend
    machine.prefers_bfloat16.cache_clear()


AMX = "avx512f avx512_bf16 amx_bf16"


@pytest.mark.parametrize(
    ("vendor", "flags", "environment", "expected"),
    [
        ("", "", {}, False),
        ("AuthenticAMD", "avx2 avx512f", {}, False),
        ("AuthenticAMD", "avx512f avx512_bf16", {}, True),
        ("GenuineIntel", "avx512f avx512_bf16", {}, False),
        ("GenuineIntel", AMX, {}, True),
        ("GenuineIntel", AMX, {ONEDNN: "0"}, False),
        ("GenuineIntel", AMX, {machine.ISA_VARIABLE: "AVX2"}, False),
        ("GenuineIntel", AMX, {machine.ISA_VARIABLE: "avx512_core"}, False),
        ("GenuineIntel", AMX, {machine.ISA_VARIABLE: "AVX512_CORE_AMX"}, True),
        ("AuthenticAMD", "avx512_bf16", {machine.ISA_VARIABLE: "AVX512_CORE_BF16"}, True),
    ],
)
def test_bfloat16_is_preferred_where_it_is_faster(processor, vendor, flags, environment, expected):
    processor(vendor, flags, **environment)
    assert machine.prefers_bfloat16() == expected


@pytest.mark.parametrize(
    ("flags", "can_run", "choice", "expected"),
    [
        (AMX, True, "auto", "mixed_bfloat16"),
        (AMX, False, "auto", "float32"),
        ("", True, "auto", "float32"),
        (AMX, True, "float32", "float32"),
        ("", True, "bfloat16", "mixed_bfloat16"),
    ],
)
def test_a_precision_is_chosen_by_what_is_faster_and_what_runs(
    processor, monkeypatch, flags, can_run, choice, expected
):
    processor("GenuineIntel", flags)
    monkeypatch.setattr(machine, "can_run_bfloat16", lambda: can_run)
    assert machine.choose_precision(choice) == expected
    monkeypatch.setenv(settings.PRECISION_VARIABLE, choice)
    assert machine.best_precision() == expected


def test_a_precision_that_cannot_run_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "can_run_bfloat16", lambda: False)
    with pytest.raises(ValueError, match="cannot train in bfloat16 on this machine"):
        machine.choose_precision("bfloat16")
    with pytest.raises(ValueError, match="unknown precision 'half'"):
        machine.choose_precision("half")


TRAIN_IN_BFLOAT16 = """
import numpy as np
from siamese_utils.training import encoders, machine
found = machine.can_run_bfloat16()
encoder = encoders.build_encoder("base", (28, 28, 1), "mixed_bfloat16")
encoder.compile("rmsprop", "mse", jit_compile=False)
try:
    encoder.train_on_batch(np.ones((2, 28, 28, 1)), np.ones((2, 128)))
    print(found, True)
except Exception:
    print(found, False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["DEFAULT", "AVX2", "AVX512_CORE"])
def test_what_can_run_in_bfloat16_is_what_trains(isa):
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_IN_BFLOAT16],
        env=os.environ | {machine.ISA_VARIABLE: isa},
        capture_output=True,
        text=True,
        check=True,
    )
    found, trains = done.stdout.split()
    assert found == trains


def test_the_speed_is_that_of_a_processor():
    assert 1e9 < machine.float32_speed() < 1e14
    assert machine.float32_speed() == machine.float32_speed()
