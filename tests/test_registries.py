"""A new encoder, task or data set is a function and an entry, in one place; all else asks the entry.

Each test adds one to a copy of the project, makes a page of it, and fits a verifier.
"""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from siamese_utils import settings

pytestmark = pytest.mark.slow

ENCODER = '''

def tiny_encoder(image_shape, dtype_policy="float32", width=16):
    """Build one dense layer."""
    import keras
    from keras import layers

    inputs = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(width, name="embedding", dtype="float32")(x))


ENCODERS["tiny"] = Encoder(tiny_encoder, {"width": 24}, flop_per_image=1e6)
'''
DISTANCE_TASK = '''

def squared(config, encoder, dataset, split):
    """Prepare training by the squared difference between the distance and 0 or the margin."""
    return prepare_pairs(config, encoder, dataset, split, squared_loss)


def squared_loss(different, distance, margin):
    """Return the loss of each pair."""
    from keras import ops

    return ops.square(distance - margin * ops.cast(different, "float32"))


TASKS["squared"] = Task(
    squared, has_thresholds=True, curves={"accuracy": "accuracy at 0.5", "squared": "squared loss"}
)
'''
OTHER_TASK = '''

def wide_triplet(config, encoder, dataset, split):
    """Prepare triplets of twice the margin."""
    from dataclasses import replace

    return triplet(replace(config, margin=2 * config.margin), encoder, dataset, split)


TASKS["wide triplet"] = Task(wide_triplet, curves={"loss": "triplet loss"})
'''
DATASET = '''

def load_inverted_digits() -> Dataset:
    """Load digits in black on white."""
    from dataclasses import replace

    digits = load_digits()
    return replace(digits, name="inverted", images=255 - digits.images, banner="Inverted digits.")


DATASETS["inverted"] = load_inverted_digits
'''
FIT = """
import json, sys
import numpy as np
from siamese_utils.data import datasets
from siamese_utils.verifier import SiameseVerifier
dataset, parameters, folder = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
data = datasets.load(dataset, 60)
rows = np.isin(data.labels, data.seen)
verifier = SiameseVerifier(epochs=2, **parameters).fit(data.images[rows], data.labels[rows])
verifier = SiameseVerifier.load(verifier.save(folder))
scores = verifier.evaluate(data.images[rows], data.labels[rows])
print(json.dumps({"auc": scores["AUC"], "embedding": verifier.embed(data.images[0]).shape}))
"""


@pytest.fixture
def project(tmp_path):
    """A copy of what a report is made of, and functions that run it."""
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("siamese_utils", "notebooks", "run_all.py", "CITATION.cff"):
        source = settings.ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / name)
    shutil.copytree(settings.BENCHMARK, copy / "reports" / "benchmark")
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        settings.CACHE_VARIABLE: str(tmp_path / "cache"),
    }

    class Project:
        def add(self, module, code):
            with (copy / "siamese_utils" / module).open("a", encoding="utf-8") as file:
                file.write(code)

        def set_parameter(self, notebook, line, new):
            path = copy / "notebooks" / f"{notebook}.ipynb"
            text = path.read_text(encoding="utf-8")
            assert text.count(json.dumps(line)[1:-1]) == 1
            path.write_text(
                text.replace(json.dumps(line)[1:-1], json.dumps(new)[1:-1]), encoding="utf-8"
            )

        def make_page(self, dataset="digits"):
            report = copy / "reports" / "partial"
            options = ["--profile", "smoke", "--dataset", dataset, "--seeds", "1"]
            done = subprocess.run(
                [sys.executable, "run_all.py", "--only", "03", "--no-pdf", *options],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            return report

        def fit_verifier(self, dataset="digits", **parameters):
            arguments = [dataset, json.dumps(parameters), str(tmp_path / "verifier")]
            done = subprocess.run(
                [sys.executable, "-c", FIT, *arguments],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout.splitlines()[-1])

    return Project()


def read_metrics(report):
    """The metrics of the first network on all pairs: (set, metric) -> mean."""
    table = pd.read_csv(report / "results" / "panel.csv")
    return table.set_index(["set", "metric"])["mean"]


def test_an_encoder_is_added_in_one_place(project):
    project.add("training/encoders.py", ENCODER)
    project.set_parameter("03-base-model", 'model = "base"', 'model = "tiny"')
    report = project.make_page()
    page = (report / "03-base-model.html").read_text(encoding="utf-8")
    assert "The tiny encoder: 18,840 parameters." in page
    assert read_metrics(report)["seen", "AUC"] > 0.7
    accuracy = pd.read_csv(report / "results" / "accuracy.csv")
    assert set(accuracy["model"]) == {"tiny"}
    found = project.fit_verifier(model="tiny")
    assert found["embedding"] == [1, 24]
    assert found["auc"] > 0.7


def test_a_distance_task_is_added_in_one_place(project):
    project.add("training/tasks.py", DISTANCE_TASK)
    project.set_parameter("03-base-model", 'task = "contrastive"', 'task = "squared"')
    report = project.make_page()
    page = (report / "03-base-model.html").read_text(encoding="utf-8")
    assert "squared loss" in page
    metrics = read_metrics(report)
    assert metrics["seen", "AUC"] > 0.7
    assert metrics["seen", "accuracy, 0.5"] > 60  # it has thresholds
    assert project.fit_verifier(task="squared")["auc"] > 0.7


def test_a_task_without_thresholds_is_added_in_one_place(project):
    project.add("training/tasks.py", OTHER_TASK)
    project.set_parameter("03-base-model", 'task = "contrastive"', 'task = "wide triplet"')
    report = project.make_page()
    assert "triplet loss" in (report / "03-base-model.html").read_text(encoding="utf-8")
    metrics = read_metrics(report)
    assert metrics["seen", "AUC"] > 0.7
    assert pd.isna(metrics["seen", "accuracy, 0.5"])
    assert metrics["seen", "accuracy, tuned"] > 60
    assert project.fit_verifier(task="wide triplet")["auc"] > 0.7


def test_a_data_set_is_added_in_one_place(project):
    project.add("data/datasets.py", DATASET)
    report = project.make_page("inverted")
    page = (report / "03-base-model.html").read_text(encoding="utf-8")
    assert "Inverted digits." in page
    assert read_metrics(report)["seen", "AUC"] > 0.7
    assert set(pd.read_csv(report / "results" / "accuracy.csv")["dataset"]) == {"inverted"}
    assert project.fit_verifier("inverted")["auc"] > 0.7
