import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from siamese_utils import settings
from siamese_utils.data import dataset as data
from siamese_utils.evaluation import baselines, pair_distances
from siamese_utils.evaluation import embeddings as embeddings_module
from siamese_utils.evaluation.metrics import all_pairs_metrics
from siamese_utils.training import losses, trainer
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=1, precision="float32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the result of a short training run, which is in a cache of its own."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.CACHE_VARIABLE, str(folder))
        return trainer.train(SHORT)


@pytest.fixture(scope="module")
def embeddings(trained, digits):
    encoder = trainer.rebuild_encoder(SHORT, trained, (28, 28, 1))
    return trainer.embed(encoder, digits.images)


def test_distances_of_sampled_pairs_are_those_of_their_embeddings(
    store, digits, trained, embeddings
):
    [measured] = pair_distances.of_trained([trained])
    assert list(measured.sampled) == list(data.SETS)
    pairs = pair_distances.sample_test_pairs(digits, digits.split(0), 0)
    for name in data.SETS:
        distance, different = measured.labelled_distances(name)
        assert np.array_equal(different, pairs[name].different == 1)
        first, second = embeddings[pairs[name].first], embeddings[pairs[name].second]
        assert np.allclose(distance, losses.euclidean_distance(first, second), atol=1e-3)
        curve = measured.sampled_curve(name)
        assert curve.auc == pytest.approx(roc_auc_score(different, distance))


def test_sampled_test_pairs_are_of_their_set_and_the_same_for_every_encoder(digits):
    split = digits.split(0)
    pairs = pair_distances.sample_test_pairs(digits, split, 0)
    for name, rows in split.sets().items():
        assert {*pairs[name].first, *pairs[name].second} <= set(rows)
    again = pair_distances.sample_test_pairs(digits, split, 0)
    assert np.array_equal(again["unseen"].second, pairs["unseen"].second)
    other = pair_distances.sample_test_pairs(digits, split, 1)
    assert not np.array_equal(other["unseen"].second, pairs["unseen"].second)


def test_all_pairs_of_test_images_are_counted(store, digits, trained):
    [measured] = pair_distances.of_trained([trained])
    split = digits.split(0)
    tested = len(split.all)
    assert measured.all_pairs.counts.sum() == tested * (tested - 1) // 2
    assert measured.all_pairs.classes == digits.classes
    sizes = np.bincount(digits.labels[split.all])
    assert measured.all_pairs.cell(3, 3).sum() == sizes[3] * (sizes[3] - 1) // 2
    assert measured.all_pairs.cell(3, 7).sum() == sizes[3] * sizes[7]


def test_the_threshold_is_tuned_on_all_validation_pairs(store, digits, trained, embeddings):
    [measured] = pair_distances.of_trained([trained])
    rows = digits.split(0).validation
    first, second = np.triu_indices(len(rows), k=1)
    distance = np.linalg.norm(embeddings[rows][first] - embeddings[rows][second], axis=1)
    labels = digits.labels[rows]
    # each class weighs the same, and so does each pair of two classes
    cells = [tuple(sorted(cell)) for cell in zip(labels[first], labels[second], strict=True)]
    weight = np.array([1 / cells.count(cell) for cell in cells])
    different = labels[first] != labels[second]
    weight[~different] /= weight[~different].sum()
    weight[different] /= weight[different].sum()
    accuracies = [weight @ ((distance > t) == different) / 2 for t in np.sort(distance)]
    accuracy = weight @ ((distance > measured.validation_threshold) == different) / 2
    assert accuracy == pytest.approx(max(accuracies), abs=0.005)  # thresholds are edges of bins


def test_distances_are_measured_once(store, trained, monkeypatch):
    [first] = pair_distances.of_trained([trained])
    monkeypatch.setattr(pair_distances, "_measure", lambda *_: pytest.fail("measured again"))
    [second] = pair_distances.of_trained([trained])
    assert np.array_equal(first.all_pairs.counts, second.all_pairs.counts)
    assert np.array_equal(first.sampled["unseen"], second.sampled["unseen"])
    assert np.array_equal(first.groups, second.groups)
    assert (first.validation_threshold, first.margin, first.all_pairs.bin_width) == (
        second.validation_threshold,
        second.margin,
        second.all_pairs.bin_width,
    )


def test_other_weights_with_the_same_key_are_measured_again(store, trained):
    [first] = pair_distances.of_trained([trained])
    doubled = [*trained.weights[:-2], *(2 * w for w in trained.weights[-2:])]
    [second] = pair_distances.of_trained([replace(trained, weights=doubled)])
    assert np.allclose(second.sampled["unseen"], 2 * first.sampled["unseen"], rtol=1e-3, atol=1e-3)


def test_an_untrained_encoder_has_no_margin(store, digits):
    untrained = pair_distances.of_untrained(digits, seeds=range(2))
    assert [one.margin for one in untrained] == [None, None]
    metrics = all_pairs_metrics(untrained, digits)
    assert np.isnan(metrics["seen", "accuracy, 0.5"].values).all()
    assert (metrics["seen", "AUC"].values > 0.6).all()
    assert len(list(store.iterdir())) == 2


def test_baselines_are_cached_by_name_seed_and_distance(store, digits):
    for name in ("raw pixels", "PCA"):
        pair_distances.of_baseline(name, digits, seeds=range(2))
    assert len(list(store.iterdir())) == 4
    pair_distances.of_baseline("raw pixels", digits, seeds=range(1), cosine=True)
    assert len(list(store.iterdir())) == 5


def test_an_embedding_is_fitted_to_the_training_images_of_its_seed(store, digits):
    fitted_to = []

    def fit(images):
        fitted_to.append(images)
        return baselines.pixels

    pair_distances.of_embedding("by hand", fit, digits, seed=1)
    [images] = fitted_to
    assert np.array_equal(images, digits.images[digits.split(1).train])


def test_distances_of_raw_pixels(store, digits):
    [euclidean] = pair_distances.of_baseline("raw pixels", digits, seeds=range(1))
    pairs = pair_distances.sample_test_pairs(digits, digits.split(0), 0)["all"]
    images = digits.images.reshape(len(digits.images), -1) / 255
    expected = np.linalg.norm(images[pairs.first] - images[pairs.second], axis=1)
    assert np.allclose(euclidean.sampled["all"], expected, rtol=1e-4)
    [cosine] = pair_distances.of_baseline("raw pixels", digits, seeds=range(1), cosine=True)
    length = np.linalg.norm(images, axis=1)
    product = np.sum(images[pairs.first] * images[pairs.second], axis=1)
    expected = np.sqrt(2 - 2 * product / length[pairs.first] / length[pairs.second])
    assert np.allclose(cosine.sampled["all"], expected, atol=2e-3)


def test_cosine_distance_does_not_depend_on_length(store, digits, trained):
    doubled = [*trained.weights[:-2], *(2 * w for w in trained.weights[-2:])]
    areas = [
        all_pairs_metrics(pair_distances.of_trained([one], cosine=True), digits)[
            "seen", "AUC"
        ].values[0]
        for one in (trained, replace(trained, weights=doubled))
    ]
    assert areas[0] == pytest.approx(areas[1], abs=1e-3)


@pytest.mark.parametrize(
    ("task", "cosine", "margin"),
    [
        ("contrastive", False, 1.0),
        ("contrastive", True, None),
        ("triplet", False, None),
        ("softmax", False, None),
    ],
)
def test_only_the_contrastive_loss_has_a_margin_for_thresholds(
    store, trained, task, cosine, margin
):
    config = trained.record["config"] | {"task": task}
    result = replace(trained, record=trained.record | {"config": config})
    assert pair_distances.of_trained([result], cosine)[0].margin == margin


def test_another_seed_has_another_split(store, trained):
    other = trainer.train(replace(SHORT, seed=1))
    first, second = pair_distances.of_trained([trained, other])
    assert not np.array_equal(first.sampled["unseen"], second.sampled["unseen"])


IMPORTS = """
import sys
for name in sys.argv[1:]:
    __import__("siamese_utils." + name)
    loaded = {"tensorflow", "keras"} & set(sys.modules)
    assert not loaded, f"{name} loads {loaded}"
"""
FROM_CACHE = """
import sys
from siamese_utils.data import datasets
from siamese_utils.training import trainer
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.evaluation import pair_distances, embeddings
from siamese_utils.evaluation.metrics import all_pairs_metrics
run = trainer.train(TrainingConfig(dataset="digits", epochs=1, precision="float32"))
measured = pair_distances.of_trained([run])
pair_distances.of_trained([run], cosine=True)
digits = datasets.load("digits")
pair_distances.of_untrained(digits, seeds=range(1))
embedded = embeddings.of_trained(run, digits, digits.split(0).unseen[:20])
print(all_pairs_metrics(measured, digits)["unseen", "AUC"].values[0], embedded.shape)
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def run_python(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_modules_that_read_results_do_not_load_tensorflow():
    packages = ("data", "training", "evaluation", "reporting")
    names = [f"{package}.{path.stem}" for package in packages for path in modules_of(package)]
    # These are TensorFlow's; two of them read like the documents that they rebuild.
    with_tensorflow = {f"training.{name}" for name in ("losses", "models", "study_2019")}
    with_tensorflow.add("training.one_shot_article")
    names = [name for name in names if name not in with_tensorflow]
    assert {"evaluation.metrics", "reporting.claims", "training.trainer"} <= set(names)
    run_python(IMPORTS, *names)


def modules_of(package):
    paths = (settings.ROOT / "siamese_utils" / package).glob("[a-z]*.py")
    return sorted(paths)


@pytest.mark.slow
def test_cached_results_and_distances_are_read_without_tensorflow(store, digits):
    run = trainer.train(SHORT)
    measured = pair_distances.of_trained([run])
    pair_distances.of_trained([run], cosine=True)
    pair_distances.of_untrained(digits, seeds=range(1))
    embedded = embeddings_module.of_trained(run, digits, digits.split(0).unseen[:20])
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    output = run_python(FROM_CACHE)
    area = all_pairs_metrics(measured, digits)["unseen", "AUC"].values[0]
    assert output.strip().endswith(f"{area} {embedded.shape}")
    assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == before
