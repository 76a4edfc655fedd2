"""What several tests share. No test needs a network."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from siamese_utils import data, settings


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def fashion_mnist():
    try:
        return data.load("fashion-mnist")
    except data.DataError as error:
        pytest.skip(f"Fashion-MNIST cannot be had: {error}")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store of trainings."""
    monkeypatch.setenv(settings.STORE_VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of results."""
    monkeypatch.setenv(settings.RESULTS_VARIABLE, str(tmp_path / "results"))
    return tmp_path / "results"
