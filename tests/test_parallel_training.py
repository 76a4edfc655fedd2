import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pytest
from distributed import Client

from siamese_utils import settings
from siamese_utils.publishing import parallel_training
from siamese_utils.publishing.parallel_training import TrainingJob
from siamese_utils.training import cache, study_plan, trainer
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

PROFILE = replace(settings.get_profile("quick", 2), epochs=2, milestones=(1,))
PLAN = study_plan.StudyPlan(PROFILE, "digits")
STEPS = list(PLAN.steps("03"))[:2]  # the longest


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty store, and a file that tells of trainings."""
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv(settings.PROGRESS_VARIABLE, str(tmp_path / "progress"))
    return tmp_path / "progress"


@pytest.fixture
def order():
    """A function that orders steps, and notes what is said of them."""

    def make(steps):
        done, said = [], []
        return SimpleNamespace(
            work=TrainingJob(PLAN, steps, done.append, said.append), done=done, said=said
        )

    return make


def kill_in_mid_training(progress, pid):
    """Kill a process once a first epoch is over."""

    def kill_it():
        while not progress.exists() or '"training", "epoch": 1' not in progress.read_text():
            time.sleep(0.02)
        os.kill(pid(), signal.SIGKILL)

    threading.Thread(target=kill_it, daemon=True).start()


def test_workers_train_what_notebooks_then_find(kept, order):
    steps = [*STEPS, TransferConfig(10, seed=0)]
    ordered = order([PretrainingConfig(0), *steps])
    parallel_training.train_locally(ordered.work, workers=2)
    assert ordered.done[0] == PretrainingConfig(0)  # on which the transfer rests
    assert set(ordered.done) == {PretrainingConfig(0), *steps}
    assert not ordered.said
    found = [cache.load(step.resolve().key()) for step in steps]
    assert all(found)
    threads = max(1, os.cpu_count() // 2)
    assert f"OMP_NUM_THREADS={threads}" in found[0].record["machine"]["thread variables"]
    # a length on the way, and the distances of each run, are there too
    assert all(cache.contains(study_plan.key_of(replace(step, epochs=1))) for step in STEPS)
    assert len(list(settings.cache_dir().glob("*.npz"))) == 2 * 3 + 2


@pytest.mark.fault(
    "kill -9 of a worker in mid-training", "its training is begun again, the others stay"
)
def test_a_lost_worker_costs_its_training_and_nothing_else(kept, order):
    ordered = order(STEPS)
    kill_in_mid_training(kept, lambda: multiprocessing.active_children()[0].pid)
    parallel_training.train_locally(ordered.work, workers=2)
    assert all(cache.load(step.resolve().key()) for step in STEPS)
    assert sorted(ordered.done, key=STEPS.index) == STEPS
    [said] = ordered.said
    assert "a worker was lost" in said


@pytest.mark.fault("workers die again and again", "the run ends with one line")
def test_workers_that_die_again_and_again_end_the_run(kept, order, monkeypatch):
    monkeypatch.setattr(parallel_training, "_train_and_measure_memory", die)
    with pytest.raises(parallel_training.WorkersLostError, match="died 3 times"):
        parallel_training.train_locally(order(STEPS).work, workers=2)


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_has_grown_is_renewed(kept, order, monkeypatch):
    ordered = order([1, 2, 3])
    monkeypatch.setattr(TrainingJob, "phases", lambda _: ([1, 2, 3],))
    monkeypatch.setattr(study_plan.StudyPlan, "on_the_way", lambda *_: [])
    monkeypatch.setattr(parallel_training, "_train_and_measure_memory", write_pid)
    for most, processes in ((2, 2), (4, 1)):
        monkeypatch.setattr(parallel_training, "MAX_WORKER_BYTES", most)
        kept.unlink(missing_ok=True)
        parallel_training.train_locally(ordered.work, workers=1)
        assert len(set(kept.read_text().split())) == processes


def write_pid(task):
    """Pretend to grow by a byte with each step."""
    step, _ = task
    with open(os.environ[settings.PROGRESS_VARIABLE], "a") as file:
        print(os.getpid(), file=file)
    return step


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler on this machine, and a function that starts a worker of it."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as processes:

        def start(*arguments):
            command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen([*command, "--scheduler-file", str(file)], **silent)
            processes.callback(process.wait)
            processes.callback(process.terminate)
            return process

        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not file.exists() or not file.read_text().endswith("}"):
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        options = ("--nthreads", "1", "--no-dashboard", "--no-nanny")
        yield address, lambda: start("dask_worker", *options)


@pytest.mark.fault("kill -9 of a cluster's worker in mid-training", "another one trains it")
def test_a_cluster_trains_and_shares_no_disk(kept, order, cluster):
    address, start_worker = cluster
    first, second = start_worker(), start_worker()
    with Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    parallel_training.check_scheduler(address)
    steps = [PretrainingConfig(0), *STEPS, TransferConfig(10, seed=0)]
    ordered = order(steps)
    kill_in_mid_training(kept, lambda: first.pid)  # and its training goes to the second one
    parallel_training.train_on_cluster(ordered.work, address)
    assert second.poll() is None
    assert set(ordered.done) == set(steps)
    assert all(cache.load(step.resolve().key()) for step in steps)
    assert all(cache.contains(study_plan.key_of(replace(step, epochs=1))) for step in STEPS)
    assert trainer.train(TransferConfig(10, seed=0)).record["machine"]["cores"] == os.cpu_count()


@pytest.mark.fault(
    "no scheduler at the address, or one without workers", "one line, before any work"
)
def test_a_scheduler_that_is_not_there_is_refused(cluster):
    with pytest.raises(ValueError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        parallel_training.check_scheduler("tcp://127.0.0.1:9")
    with pytest.raises(ValueError, match="has no workers"):
        parallel_training.check_scheduler(cluster[0])
