import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from siamese_utils import settings
from siamese_utils.learning import plans, store, transfer
from siamese_utils.learning.transfer import Pretraining, Transfer
from siamese_utils.report import ahead

PROFILE = replace(settings.get_profile("quick", 2), epochs=2, milestones=(1,))
PLAN = plans.Plan(PROFILE, "digits")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty store, and a file that tells of trainings."""
    monkeypatch.setenv(settings.STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv(settings.PROGRESS_VARIABLE, str(tmp_path / "progress"))
    return tmp_path / "progress"


def test_workers_train_what_notebooks_then_find(kept):
    steps = [*PLAN.steps("03"), Transfer(10, seed=0)]
    ahead.train_ahead(PLAN, steps, workers=2, say=pytest.fail)
    found = [store.load(plans.key_of(step)) for step in steps]
    assert all(found)
    threads = max(1, os.cpu_count() // 2)
    assert f"OMP_NUM_THREADS={threads}" in found[0].record["machine"]["thread variables"]
    assert store.has(transfer.key_of(Pretraining(0)))  # on which the transfer rests
    # a length on the way, and the distances of each run, are there too
    assert all(store.has(plans.key_of(replace(step, epochs=1))) for step in steps[:2])
    assert len(list(settings.store_dir().glob("*.npz"))) == 2 * 3 + 2


def test_a_lost_worker_costs_its_training_and_nothing_else(kept):
    def kill_one():
        while not kept.exists() or '"training", "epoch": 1' not in kept.read_text():
            time.sleep(0.02)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    said = []
    threading.Thread(target=kill_one, daemon=True).start()
    steps = list(PLAN.steps("03"))
    ahead.train_ahead(PLAN, steps, workers=2, say=said.append)
    assert all(store.load(plans.key_of(step)) for step in steps)
    assert len(said) == 1
    assert "a worker was lost" in said[0]


def test_workers_that_die_again_and_again_end_the_run(kept, monkeypatch):
    monkeypatch.setattr(ahead, "_train_until_lost", lambda *_: set())
    with pytest.raises(ahead.WorkersLostError, match="died 3 times"):
        ahead.train_ahead(PLAN, list(PLAN.steps("03")), workers=2, say=lambda _: None)
