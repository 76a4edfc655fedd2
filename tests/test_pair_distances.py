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
from siamese_utils.evaluation import embeddings as chosen
from siamese_utils.evaluation.metrics import all_pairs_metrics
from siamese_utils.training import losses, trainer
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=1, precision="float32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training, and the store that holds it alone."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.CACHE_VARIABLE, str(folder))
        return trainer.train(SHORT)


@pytest.fixture(scope="module")
def embeddings(trained, digits):
    return trainer.embed(trainer.rebuild_encoder(trained, (28, 28, 1)), digits.images)


def test_the_studys_pairs_have_the_distances_of_their_embeddings(
    store, digits, trained, embeddings
):
    [found] = pair_distances.of_trained([trained])
    assert list(found.sampled) == list(data.SETS)
    drawn = pair_distances.sample_test_pairs(digits, digits.split(0), 0)
    for name in data.SETS:
        distance, different = found.labelled_distances(name)
        assert np.array_equal(different, drawn[name].different == 1)
        first, second = embeddings[drawn[name].first], embeddings[drawn[name].second]
        assert np.allclose(distance, losses.euclidean_distance(first, second), atol=1e-3)
        curve = found.sampled_curve(name)
        assert curve.auc == pytest.approx(roc_auc_score(different, distance))


def test_test_pairs_are_of_their_set_and_the_same_for_every_encoder(digits):
    split = digits.split(0)
    drawn = pair_distances.sample_test_pairs(digits, split, 0)
    for name, rows in split.sets().items():
        assert {*drawn[name].first, *drawn[name].second} <= set(rows)
    again = pair_distances.sample_test_pairs(digits, split, 0)
    assert np.array_equal(again["unseen"].second, drawn["unseen"].second)
    other = pair_distances.sample_test_pairs(digits, split, 1)
    assert not np.array_equal(other["unseen"].second, drawn["unseen"].second)


def test_all_pairs_of_test_images_are_counted(store, digits, trained):
    [found] = pair_distances.of_trained([trained])
    split = digits.split(0)
    tested = len(split.all)
    assert found.all_pairs.counts.sum() == tested * (tested - 1) // 2
    assert found.all_pairs.classes == digits.classes
    sizes = np.bincount(digits.labels[split.all])
    assert found.all_pairs.cell(3, 3).sum() == sizes[3] * (sizes[3] - 1) // 2
    assert found.all_pairs.cell(3, 7).sum() == sizes[3] * sizes[7]


def test_the_threshold_is_tuned_on_all_validation_pairs(store, digits, trained, embeddings):
    [found] = pair_distances.of_trained([trained])
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
    right = [weight @ ((distance > t) == different) / 2 for t in np.sort(distance)]
    at_ours = weight @ ((distance > found.validation_threshold) == different) / 2
    assert at_ours == pytest.approx(max(right), abs=0.005)  # a bin is all there is to choose


def test_nothing_is_measured_twice(store, trained, monkeypatch):
    [first] = pair_distances.of_trained([trained])
    monkeypatch.setattr(pair_distances, "_measure", lambda *_: pytest.fail("measured again"))
    [second] = pair_distances.of_trained([trained])
    assert np.array_equal(first.all_pairs.counts, second.all_pairs.counts)
    assert np.array_equal(first.sampled["unseen"], second.sampled["unseen"])
    assert np.array_equal(first.groups, second.groups)
    assert (first.validation_threshold, first.margin, first.all_pairs.step) == (
        second.validation_threshold,
        second.margin,
        second.all_pairs.step,
    )


def test_other_weights_of_the_same_name_are_measured_anew(store, trained):
    [first] = pair_distances.of_trained([trained])
    doubled = [*trained.weights[:-2], *(2 * w for w in trained.weights[-2:])]
    [second] = pair_distances.of_trained([replace(trained, weights=doubled)])
    assert np.allclose(second.sampled["unseen"], 2 * first.sampled["unseen"], rtol=1e-3, atol=1e-3)


def test_an_encoder_before_training_has_no_margin(store, digits):
    found = pair_distances.of_untrained(digits, seeds=range(2))
    assert [one.margin for one in found] == [None, None]
    measured = all_pairs_metrics(found, digits)
    assert np.isnan(measured["seen", "accuracy, 0.5"].whole).all()
    assert (measured["seen", "AUC"].whole > 0.6).all()
    assert len(list(store.iterdir())) == 2


def test_baselines_are_kept_apart_by_name_seed_and_distance(store, digits):
    for name in ("raw pixels", "PCA"):
        pair_distances.of_baseline(name, digits, seeds=range(2))
    assert len(list(store.iterdir())) == 4
    pair_distances.of_baseline("raw pixels", digits, seeds=range(1), cosine=True)
    assert len(list(store.iterdir())) == 5


def test_an_embedding_is_fitted_to_the_training_images_of_its_seed(store, digits):
    seen = []

    def fit(images):
        seen.append(images)
        return baselines.pixels

    pair_distances.of_embedding("by hand", fit, digits, seed=1)
    [images] = seen
    assert np.array_equal(images, digits.images[digits.split(1).train])


def test_raw_pixels_by_hand(store, digits):
    [found] = pair_distances.of_baseline("raw pixels", digits, seeds=range(1))
    drawn = pair_distances.sample_test_pairs(digits, digits.split(0), 0)["all"]
    images = digits.images.reshape(len(digits.images), -1) / 255
    expected = np.linalg.norm(images[drawn.first] - images[drawn.second], axis=1)
    assert np.allclose(found.sampled["all"], expected, rtol=1e-4)
    [cosine] = pair_distances.of_baseline("raw pixels", digits, seeds=range(1), cosine=True)
    length = np.linalg.norm(images, axis=1)
    product = np.sum(images[drawn.first] * images[drawn.second], axis=1)
    expected = np.sqrt(2 - 2 * product / length[drawn.first] / length[drawn.second])
    assert np.allclose(cosine.sampled["all"], expected, atol=2e-3)


def test_cosine_does_not_see_length(store, digits, trained):
    doubled = [*trained.weights[:-2], *(2 * w for w in trained.weights[-2:])]
    found = [
        all_pairs_metrics(pair_distances.of_trained([one], cosine=True), digits)[
            "seen", "AUC"
        ].whole[0]
        for one in (trained, replace(trained, weights=doubled))
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


@pytest.mark.parametrize(
    ("task", "cosine", "margin"),
    [
        ("contrastive", False, 1.0),
        ("contrastive", True, None),
        ("triplet", False, None),
        ("softmax", False, None),
    ],
)
def test_a_margin_means_something_to_the_contrastive_loss_alone(
    store, trained, task, cosine, margin
):
    experiment = trained.record["config"] | {"task": task}
    told = replace(trained, record=trained.record | {"experiment": experiment})
    assert pair_distances.of_trained([told], cosine)[0].margin == margin


def test_another_seed_of_a_run_is_another_split(store, trained):
    other = trainer.train(replace(SHORT, seed=1))
    first, second = pair_distances.of_trained([trained, other])
    assert not np.array_equal(first.sampled["unseen"], second.sampled["unseen"])


IMPORTS = """
import sys
for name in sys.argv[1:]:
    __import__("siamese_utils." + name)
    found = {"tensorflow", "keras"} & set(sys.modules)
    assert not found, f"{name} loads {found}"
"""
FROM_THE_STORE = """
import sys
from siamese_utils.data import datasets
from siamese_utils.training import trainer
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.evaluation import pair_distances, embeddings
from siamese_utils.evaluation.metrics import all_pairs_metrics
run = trainer.train(TrainingConfig(dataset="digits", epochs=1, precision="float32"))
found = pair_distances.of_trained([run]) + pair_distances.of_trained([run], cosine=True)
digits = datasets.load("digits")
untrained = pair_distances.of_untrained(digits, seeds=range(1))
cloud = embeddings.of_trained(run, digits, digits.split(0).unseen[:20])
print(all_pairs_metrics(found[:1], digits)["unseen", "AUC"].whole[0], cloud.shape)
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def run_python(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_who_reads_results_does_not_load_tensorflow():
    packages = ("data", "training", "evaluation", "reporting")
    names = [f"{package}.{path.stem}" for package in packages for path in modules_of(package)]
    names = [name for name in names if name not in ("training.losses", "training.models")]
    assert {"evaluation.metrics", "reporting.claims", "training.trainer"} <= set(names)
    run_python(IMPORTS, *names)


def modules_of(package):
    paths = (settings.ROOT / "siamese_utils" / package).glob("[a-z]*.py")
    return sorted(paths)


def test_a_stored_training_and_its_distances_are_read_without_tensorflow(store, digits):
    run = trainer.train(SHORT)
    found = pair_distances.of_trained([run])
    pair_distances.of_trained([run], cosine=True)
    pair_distances.of_untrained(digits, seeds=range(1))
    cloud = chosen.of_trained(run, digits, digits.split(0).unseen[:20])
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    told = run_python(FROM_THE_STORE)
    area = all_pairs_metrics(found, digits)["unseen", "AUC"].whole[0]
    assert told.strip().endswith(f"{area} {cloud.shape}")
    assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == before
