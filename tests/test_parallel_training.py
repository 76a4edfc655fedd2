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

import pytest
from distributed import Client

from siamese_utils import settings
from siamese_utils.publishing import parallel_training
from siamese_utils.publishing.parallel_training import TrainingJob
from siamese_utils.training import cache, study_plan, trainer
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

PROFILE = replace(settings.get_profile("smoke", 2), epochs=2, milestones=(1,))
PLAN = study_plan.StudyPlan(PROFILE, "digits")
LONGEST = PLAN.configs("03-base-model")[:2]


@pytest.fixture
def progress_file(tmp_path, monkeypatch):
    """The file in which trainings report their progress; the cache is empty."""
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv(settings.PROGRESS_VARIABLE, str(tmp_path / "progress"))
    return tmp_path / "progress"


class RecordedJob(TrainingJob):
    """A job that notes which configs are done, and what is said."""

    def __init__(self, configs):
        finished, messages = [], []
        super().__init__(PLAN, configs, finished.append, messages.append)
        vars(self).update(finished=finished, messages=messages)  # the class is frozen


def kill_after_first_epoch(progress_file, process_id):
    """Kill a process once a first epoch is over."""

    def kill():
        while (
            not progress_file.exists() or '"training", "epoch": 1' not in progress_file.read_text()
        ):
            time.sleep(0.02)
        os.kill(process_id(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


def is_cached(config):
    return cache.contains(config.resolve().key())


def load_cached(config):
    return cache.load(config.resolve().key())


@pytest.mark.slow
def test_workers_train_what_notebooks_then_find(progress_file):
    configs = [*LONGEST, TransferConfig(10, seed=0, epochs=1)]
    job = RecordedJob([*configs, PretrainingConfig(0, epochs=1)])
    parallel_training.train_locally(job, workers=2)
    assert job.finished[0] == PretrainingConfig(0, epochs=1)  # which the transfer requires
    assert set(job.finished) == {PretrainingConfig(0, epochs=1), *configs}
    assert not job.messages
    results = [load_cached(config) for config in configs]
    assert all(results)
    threads = max(1, os.cpu_count() // 2)
    assert f"OMP_NUM_THREADS={threads}" in results[0].record["machine"]["thread variables"]
    # a length on the way, and the distances of each run, are there too
    assert all(is_cached(replace(config, epochs=1)) for config in LONGEST)
    assert len(list(settings.cache_dir().glob("*.npz"))) == 2 * 3 + 2


@pytest.mark.slow
@pytest.mark.fault(
    "kill -9 of a worker in mid-training", "its training is begun again, the others stay"
)
def test_a_lost_worker_costs_its_training_and_nothing_else(progress_file):
    job = RecordedJob(LONGEST)
    kill_after_first_epoch(progress_file, lambda: multiprocessing.active_children()[0].pid)
    parallel_training.train_locally(job, workers=2)
    assert all(load_cached(config) for config in LONGEST)
    assert sorted(job.finished, key=LONGEST.index) == LONGEST
    [message] = job.messages
    assert "a worker was lost" in message


@pytest.mark.slow
def test_the_task_of_a_lost_worker_is_started_again(progress_file, monkeypatch):
    monkeypatch.setattr(parallel_training, "_train_and_measure_memory", die_once)
    job = RecordedJob(LONGEST)
    parallel_training.train_locally(job, workers=2)
    assert sorted(job.finished, key=LONGEST.index) == LONGEST
    [line] = job.messages
    assert "a worker was lost" in line


def die_once(_):
    try:
        with open(os.environ[settings.PROGRESS_VARIABLE], "x"):
            die()
    except FileExistsError:
        return 0


@pytest.mark.fault("workers die again and again", "the run ends with one line")
@pytest.mark.slow
def test_workers_that_die_again_and_again_end_the_run(progress_file, monkeypatch):
    monkeypatch.setattr(parallel_training, "_train_and_measure_memory", die)
    with pytest.raises(parallel_training.WorkersLostError, match="died 3 times"):
        parallel_training.train_locally(RecordedJob(LONGEST), workers=2)


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_has_grown_is_replaced(progress_file, monkeypatch):
    job = RecordedJob([1, 2, 3])
    monkeypatch.setattr(TrainingJob, "phases", lambda _: ([1, 2, 3],))
    monkeypatch.setattr(study_plan.StudyPlan, "milestones", lambda *_: [])
    monkeypatch.setattr(parallel_training, "_train_and_measure_memory", write_process_id)
    for limit, processes in ((2, 2), (4, 1)):
        monkeypatch.setattr(parallel_training, "MAX_WORKER_BYTES", limit)
        progress_file.unlink(missing_ok=True)
        parallel_training.train_locally(job, workers=1)
        assert len(set(progress_file.read_text().split())) == processes


def write_process_id(task):
    """Pretend to grow by a byte with each config."""
    config, _ = task
    with open(os.environ[settings.PROGRESS_VARIABLE], "a") as file:
        print(os.getpid(), file=file)
    return config


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


@pytest.mark.slow
@pytest.mark.fault("kill -9 of a cluster's worker in mid-training", "another one trains it")
def test_a_cluster_trains_and_shares_no_disk(progress_file, cluster):
    address, start_worker = cluster
    first, second = start_worker(), start_worker()
    with Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    parallel_training.check_scheduler(address)
    configs = [PretrainingConfig(0, epochs=1), *LONGEST, TransferConfig(10, seed=0, epochs=1)]
    job = RecordedJob(configs)
    kill_after_first_epoch(progress_file, lambda: first.pid)  # the second one trains its run
    parallel_training.train_on_cluster(job, address)
    assert second.poll() is None
    assert set(job.finished) == set(configs)
    assert all(load_cached(config) for config in configs)
    assert all(is_cached(replace(config, epochs=1)) for config in LONGEST)
    assert (
        trainer.train(TransferConfig(10, seed=0, epochs=1)).record["machine"]["cores"]
        == os.cpu_count()
    )


@pytest.mark.slow
@pytest.mark.fault(
    "no scheduler at the address, or one without workers", "one line, before any work"
)
def test_a_missing_scheduler_is_refused(cluster):
    with pytest.raises(ValueError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        parallel_training.check_scheduler("tcp://127.0.0.1:9")
    with pytest.raises(ValueError, match="has no workers"):
        parallel_training.check_scheduler(cluster[0])
