"""What several tests share. No test needs a network."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import filelock
import hypothesis
import nbformat
import pytest
from nbformat import v4

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.data import fashion_mnist as files
from siamese_utils.publishing import publish
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("patient")


# The longest first, one of which makes the whole run; others that want it come when it is there.
ORDER = {
    "test_pages.py": 0,
    "test_soak.py": 1,
    "test_parallel_training.py": 2,
    "faults": 3,
    "test_run_all.py": 4,
}


@pytest.fixture(scope="session", autouse=True)
def precision():
    """Tests train in float32 on every machine; those of the whole run, in what suits the machine."""
    os.environ[settings.PRECISION_VARIABLE] = "float32"


@pytest.hookimpl(tryfirst=True)  # before tests are deselected by their marks
def pytest_collection_modifyitems(items):
    for item in items:
        if "whole_run" in item.fixturenames:
            item.add_marker(pytest.mark.slow)

    def place(item):
        return min(ORDER.get(name, 5) for name in (item.path.name, item.path.parent.name))

    items.sort(key=place)


@pytest.fixture(scope="session")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="session")
def fashion_mnist():
    try:
        return datasets.load("fashion-mnist")
    except files.DataError as error:
        pytest.skip(f"Fashion-MNIST cannot be had: {error}")


@pytest.fixture
def fresh():
    """No data set loaded so far is remembered, nor are those of the test after it."""

    def forget():
        for cached in (datasets.load, datasets._load_sample, datasets._load_complete):
            cached.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store of trainings."""
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def module_store(tmp_path_factory):
    """One store of trainings for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.CACHE_VARIABLE, str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of results."""
    monkeypatch.setenv(settings.RESULTS_VARIABLE, str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def short_pretraining(monkeypatch):
    """Study B's encoder is pretrained for an epoch: what rests on it counts, not how good it is."""
    short = property(lambda step: PretrainingConfig(step.seed, epochs=1, source=step.source))
    monkeypatch.setattr(TransferConfig, "pretraining", short)


@pytest.fixture(scope="session")
def write_notebook():
    """A function that writes a series of one notebook, 01-a with this code, into a folder."""

    def write(folder, code):
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        parameters = v4.new_code_cell('profile = "full"\ndataset = "auto"\nseeds = 3')
        parameters.metadata["tags"] = ["parameters"]
        cells = [v4.new_markdown_cell("# T\n\n*Q?*"), parameters, v4.new_code_cell(code)]
        for number, cell in enumerate(cells):
            cell.id = f"cell-{number}"
        folder.mkdir(exist_ok=True)
        notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
        nbformat.write(notebook, folder / "01-a.ipynb")

    return write


@pytest.fixture(scope="session")
def make_old_report():
    """A function that puts a report of one page into a folder."""

    def make(output):
        (publish.open_staging(output) / "index.html").write_text("the old report")
        publish.publish(output, {})

    return make


SMOKE = ["--profile", "smoke", "--dataset", "digits", "--seeds", "2"]


@pytest.fixture(scope="session")
def start():
    """A function that starts run_all.py with arguments and an environment."""

    def start_it(*arguments, cwd=None, **environment):
        return subprocess.Popen(
            [sys.executable, str(settings.ROOT / "run_all.py"), *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            # a shell that started the tests in the background has them ignore Ctrl-C, and so the run
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    return start_it


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory, start, worker_id):
    """A smoke run on the digits, made once for all tests: its arguments, report, store and words."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # which all processes of these tests share
    folder = folder / "whole run"  # with a space in its name
    arguments = [*SMOKE, "--output", str(folder / "report")]
    store, said = folder / "store", folder / "said"
    # as a reader starts it, who has not chosen a precision
    variables = {settings.CACHE_VARIABLE: str(store), settings.PRECISION_VARIABLE: ""}
    with filelock.FileLock(f"{folder}.lock"):
        if not said.exists():
            process = start(*arguments, **variables)
            out, err = process.communicate()
            assert process.returncode == 0, err
            assert not err
            said.write_text(out)
    return SimpleNamespace(
        arguments=arguments,
        variables=variables,
        report=folder / "report",
        store=store,
        said=said.read_text(),
    )


@pytest.fixture(scope="session")
def report(whole_run):
    """The report of the smoke run."""
    return whole_run.report
