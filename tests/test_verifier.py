import json
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from siamese_utils import settings, verifier
from siamese_utils.evaluation import calibration
from siamese_utils.training import machine, tasks
from siamese_utils.verifier import SiameseVerifier


@pytest.fixture(scope="module")
def fitted(digits):
    return SiameseVerifier(epochs=4).fit(digits.images[:1200], digits.labels[:1200])


@pytest.fixture
def two(digits):
    return digits.images[1200], digits.images[1300:1306]


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_verifier_judges_images_it_was_not_fitted_to(fitted, digits):
    rows = np.arange(1200, 1790)
    a, b = rows[:-1], rows[1:]
    same = digits.labels[a] == digits.labels[b]
    answer = fitted.is_same(digits.images[a], digits.images[b])
    assert np.mean(answer.same[same]) > 0.7
    assert np.mean(~answer.same[~same]) > 0.7
    # calibrated on as many same pairs as different ones: so are these weighed
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    assert np.sum(weight * answer.probability) == pytest.approx(0.5, abs=0.15)


def test_accepted_forms_of_images(fitted, two):
    one, many = two
    alone = fitted.distance(one, many[0])
    assert isinstance(alone, float)
    for form in (one[..., 0], one / 255, one[..., 0] / 255, one[np.newaxis]):
        assert np.allclose(fitted.distance(form, many[0]), alone, rtol=1e-4)
    assert fitted.distance(one, many).shape == fitted.distance(many, one).shape == (6,)
    assert np.allclose(fitted.distance(many, many), 0)
    answer = fitted.is_same(one, one)
    assert answer.same is True
    assert answer.probability > 0.5


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((27, 28), np.uint8), r"a must be one image of shape \(28, 28\) or \(28, 28, 1\)"),
        (np.zeros((28, 28, 3), np.uint8), r"not \(28, 28, 3\)"),
        (np.zeros((0, 28, 28), np.uint8), r"a batch of one or more, not \(0, 28, 28\)"),
        (np.zeros((28, 28), int), "a must be uint8 of 0..255 or float of 0..1, not int64"),
        (np.full((28, 28), 255.0), "a of float must lie in 0..1, not in 255..255"),
        (np.full((28, 28), np.nan), "a of float must lie in 0..1"),
        ("cat.png", "a must be uint8"),
    ],
)
def test_other_forms_of_images_are_refused(fitted, two, image, message):
    with pytest.raises(ValueError, match=message):
        fitted.distance(image, two[0])


def test_batches_of_different_length_are_refused(fitted, two):
    with pytest.raises(ValueError, match="a holds 6 images and b 5"):
        fitted.distance(two[1], two[1][:5])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((40, 8, 8), np.uint8), np.zeros(40), "two classes of 20 images at least"),
        (np.zeros((40, 8, 8), np.uint8), np.arange(40) % 4, "not 4 with 10 in one"),
        (np.zeros((40, 8, 8), np.uint8), np.zeros(39), "one for each image"),
        (np.zeros((40, 64), np.uint8), np.zeros(40), r"not \(40, 64\)"),
        (np.zeros((40, 3, 9), np.uint8), np.arange(40) % 2, "8 x 8 or larger, not 3 x 9"),
        (np.zeros((40, 8, 8), np.uint8), np.full(40, np.nan), "labels hold values that are no"),
        (np.full((40, 8, 8), np.nan), np.arange(40) % 2, "images of float must lie in 0..1"),
        ([np.zeros((8, 8)), np.zeros((9, 8))], [0, 1], "images must be of one size"),
        (np.zeros((40, 300, 8), np.uint8), np.arange(40) % 2, "256 pixels a side"),
        (np.zeros((0, 8, 8), np.uint8), [], "not 0 with 0 in one"),
        (np.zeros((900, 8, 8), np.uint8), np.arange(900), "not 900 with 1 in one"),
    ],
)
@pytest.mark.filterwarnings("ignore:no image is brighter")
def test_unsuitable_training_images_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        SiameseVerifier().fit(images, labels)


def test_copies_of_one_image_cannot_be_held_out():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8))
    images[20:] = images[20]
    with pytest.raises(ValueError, match="class 1 has too many copies of one image"):
        SiameseVerifier().fit(np.uint8(images), np.repeat([0, 1], 20))


@pytest.mark.parametrize("model", ["foreground mask", "raw pixels"])
def test_a_white_background_counts_as_background(digits, tmp_path, model):
    rows = np.concatenate([np.flatnonzero(digits.labels == c)[:20] for c in range(3)])
    images, labels = digits.images[rows], digits.labels[rows]
    images = np.where(images < 14, 0, images)  # of a white background such values count as noise
    on_black = SiameseVerifier(model).fit(images, labels)
    on_white = SiameseVerifier(model).fit(255 - images, labels)
    assert (on_black.background_, on_white.background_) == ("black", "white")
    assert np.allclose(on_black.embed(images), on_white.embed(255 - images))
    saved = SiameseVerifier.load(on_white.save(tmp_path / "saved"))
    assert np.allclose(saved.embed(255 - images), on_white.embed(255 - images))


@pytest.mark.fault("Ctrl-C while a verifier is fitted", "it answers nothing")
def test_an_interrupted_fit_answers_nothing(digits, two, monkeypatch):
    judge = SiameseVerifier(epochs=1).fit(digits.images[:300], digits.labels[:300])
    monkeypatch.setattr(verifier.pair_training, "fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        judge.fit(digits.images[:300], digits.labels[:300])
    with pytest.raises(NotFittedError):
        judge.is_same(two[0], two[0])


def test_many_classes_fit_in_a_batch():
    images = np.random.default_rng(0).integers(0, 256, (65 * 20, 8, 8), dtype=np.uint8)
    judge = SiameseVerifier(epochs=1).fit(images, np.repeat(np.arange(65), 20))
    assert judge.distance(images[0], images[1]) >= 0


def test_an_unfitted_verifier_raises_an_error(two, tmp_path):
    with pytest.raises(NotFittedError):
        SiameseVerifier().distance(two[0], two[0])
    with pytest.raises(NotFittedError):
        SiameseVerifier().save(tmp_path / "none")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "vgg"}, "unknown model 'vgg'; choose one of base"),
        ({"margin": 0}, "margin must be above 0"),
        ({"epochs": -1}, "epochs must be above 0"),
        ({"seed": -1}, "seed must be a whole number of 0 or more, not -1"),
        ({"false_accept_rate": 1}, "false_accept_rate must lie between 0 and 1, not at 1"),
    ],
)
def test_unknown_parameters_are_refused_by_fit(fitted, digits, parameters, message):
    before = fitted.get_params()
    fitted.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        fitted.fit(digits.images[:300], digits.labels[:300])
    fitted.set_params(**before)
    assert fitted.distance(digits.images[0], digits.images[0]) == 0  # it still answers


def test_a_kept_verifier_gives_the_same_distances_in_a_fresh_process(fitted, two, tmp_path):
    folder = fitted.save(tmp_path / "saved")
    np.savez(tmp_path / "images.npz", one=two[0], many=two[1])
    program = (
        "import sys, numpy as np; from siamese_utils.verifier import SiameseVerifier; "
        "images = np.load(sys.argv[2]); saved = SiameseVerifier.load(sys.argv[1]); "
        "print(saved.distance(images['one'], images['many']).tobytes().hex(), "
        "saved.is_same(images['one'], images['many']).probability.tobytes().hex())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "images.npz")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    distance, probability = told.stdout.split()[-2:]
    assert distance == fitted.distance(*two).tobytes().hex()
    assert probability == fitted.is_same(*two).probability.tobytes().hex()


def test_what_is_kept_is_plain(fitted, tmp_path):
    folder = fitted.save(tmp_path / "deeper" / "saved")
    assert {path.name for path in folder.iterdir()} == {verifier.WEIGHTS, verifier.SETTINGS}
    json.loads((folder / verifier.SETTINGS).read_text())
    with np.load(folder / verifier.WEIGHTS, allow_pickle=False) as arrays:
        assert len(arrays) == 11  # eight weights, and the images that it keeps
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]
    with pytest.raises(FileExistsError, match="choose another"):
        fitted.save(folder)


def ask_saved_model(folder, images):
    import tensorflow as tf

    loaded = tf.saved_model.load(folder / "encoder")
    return loaded.serve(images).numpy()


def ask_litert(folder, images):
    import tensorflow as tf

    model = tf.lite.Interpreter(str(folder / "encoder.tflite"))
    [given], [answer] = model.get_input_details(), model.get_output_details()
    model.resize_tensor_input(given["index"], images.shape)
    model.allocate_tensors()
    model.set_tensor(given["index"], images)
    model.invoke()
    return model.get_tensor(answer["index"])


@pytest.mark.parametrize(
    ("form", "ask"), [("saved_model", ask_saved_model), ("litert", ask_litert)]
)
def test_an_exported_network_gives_the_same_distances(digits, tmp_path, monkeypatch, form, ask):
    # as the export computes, also where a verifier would by itself be fitted in bfloat16
    monkeypatch.setattr(machine, "best_precision", lambda: "float32")
    fitted = SiameseVerifier(epochs=4).fit(digits.images[:1200], digits.labels[:1200])
    folder = fitted.export(tmp_path / "network", form)
    first, second = np.random.default_rng(0).integers(0, 1797, (2, 1000))
    embeddings = [ask(folder, digits.images[of]) for of in (first, second)]
    distances = np.linalg.norm(embeddings[0] - embeddings[1], axis=1)
    expected = fitted.distance(digits.images[first], digits.images[second])
    assert distances == pytest.approx(expected, rel=1e-3, abs=1e-5)
    stored = json.loads((folder / "verifier.json").read_text())
    assert stored["threshold"] == fitted.threshold_
    assert stored["shape"] == [28, 28, 1]


def test_only_a_single_network_can_be_exported(plain, fitted, tmp_path):
    with pytest.raises(ValueError, match="model 'foreground mask' is not a single network"):
        plain.export(tmp_path / "network")
    with pytest.raises(ValueError, match="unknown form 'onnx'; choose one of saved_model, litert"):
        fitted.export(tmp_path / "network", "onnx")
    assert not list(tmp_path.iterdir())


def test_the_ensemble_refuses_many_classes():
    labels = np.repeat(np.arange(61), 20)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), dtype=np.uint8)
    with pytest.raises(ValueError, match="60 classes at most, not 61"):
        SiameseVerifier("ensemble").fit(images, labels)


def test_the_ensemble_refuses_large_images():
    images = np.random.default_rng(0).integers(0, 256, (40, 49, 20), dtype=np.uint8)
    with pytest.raises(ValueError, match="up to 48 x 48, not 49 x 20: shrink them"):
        SiameseVerifier(model="ensemble").fit(images, np.repeat([0, 1], 20))


@pytest.mark.slow
def test_the_ensemble_judges_unseen_classes(digits, tmp_path):
    shown = np.isin(digits.labels, digits.seen)
    judge = SiameseVerifier(model="ensemble").fit(digits.images[shown], digits.labels[shown])
    images, labels = digits.images[~shown], digits.labels[~shown]
    a, b = np.random.default_rng(0).integers(len(labels), size=(2, 600))
    different = labels[a] != labels[b]
    assert roc_auc_score(different, judge.distance(images[a], images[b])) > 0.85
    again = SiameseVerifier.load(judge.save(tmp_path / "saved"))
    assert np.array_equal(
        again.distance(images[a], images[b]), judge.distance(images[a], images[b])
    )


@pytest.mark.parametrize("name", [verifier.WEIGHTS, verifier.SETTINGS])
@pytest.mark.fault("a bit of a saved verifier is flipped", "it is refused")
def test_a_changed_file_is_refused(fitted, tmp_path, name):
    path = fitted.save(tmp_path / "saved") / name
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=20):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        same_values = name == verifier.SETTINGS and _values(changed) == _values(whole)
        if not same_values:  # a space for another says nothing else
            with pytest.raises(ValueError, match="saved is damaged"):
                SiameseVerifier.load(path.parent)
    path.write_bytes(whole)
    assert SiameseVerifier.load(path.parent).probability_ == fitted.probability_


def _values(text):
    try:
        return json.loads(bytes(text))
    except ValueError:
        return None


@pytest.mark.fault("the weights of a saved verifier are not numbers", "it is refused")
def test_weights_that_are_not_finite_are_refused(fitted, tmp_path):
    folder = fitted.save(tmp_path / "saved")
    nothing = [np.full_like(weight, np.nan) for weight in fitted.encoders_[0].get_weights()]
    np.savez(folder / verifier.WEIGHTS, *nothing)
    seal(folder)
    with pytest.raises(ValueError, match="holds no weights: they are not finite"):
        SiameseVerifier.load(folder)


def seal(folder, **changes):
    """Give a saved verifier other values, and the right digest, as a stranger can."""
    saved = json.loads((folder / verifier.SETTINGS).read_text()) | changes
    saved.pop("sha256")
    saved["sha256"] = verifier._digest(folder, saved)
    (folder / verifier.SETTINGS).write_text(json.dumps(saved))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2000, 2000, 3]},
        {"shape": None},
        {"shape": [28, 28]},
        {"shape": [20, 20, 1]},
        {"parameters": {}, "shape": [9, 9, 1]},
        {"parameters": {"model": "vgg"}},
        {"parameters": {"depth": 9}},
        {"precision": "float1"},
        {"probability": None},
        {"probability": {"slope": float("nan"), "intercept": 0.0}},
        {"threshold": "far"},
        {"threshold": None},
    ],
)
@pytest.mark.fault(
    "a stranger's verifier, of odd values and with the right digest", "it is refused"
)
def test_invalid_values_with_the_right_digest_are_refused(fitted, tmp_path, changes):
    folder = fitted.save(tmp_path / "saved")
    seal(folder, **changes)
    with pytest.raises(ValueError, match="saved holds no verifier of this version"):
        SiameseVerifier.load(folder)


@pytest.mark.fault("the weights of a saved verifier would unpack to much more", "it is refused")
def test_compressed_weights_are_refused(fitted, tmp_path):
    folder = fitted.save(tmp_path / "saved")
    np.savez_compressed(folder / verifier.WEIGHTS, np.zeros(10_000_000))
    seal(folder)
    with pytest.raises(ValueError, match="they are compressed"):
        SiameseVerifier.load(folder)
    for content in (b"", b"PK", b"\x93NUMPY"):
        (folder / verifier.WEIGHTS).write_bytes(content)
        seal(folder)
        with pytest.raises(ValueError, match="holds no weights"):
            SiameseVerifier.load(folder)


class Runs:
    """An object that would leave a file where it is unpacked."""

    def __reduce__(self):
        return (open, ("ran", "w"))


@pytest.mark.fault("a saved verifier holds an object that runs when it is read", "it is never read")
def test_an_object_among_the_weights_never_runs(fitted, tmp_path, monkeypatch):
    folder = fitted.save(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    np.savez(folder / verifier.WEIGHTS, np.array([Runs()], dtype=object))
    seal(folder)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        SiameseVerifier.load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.fault("Ctrl-C while a verifier is saved", "nothing is left")
def test_an_interrupted_save_leaves_nothing(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fitted.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_the_lines_of_the_readme_run(digits, tmp_path, monkeypatch):
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n(.+?)```", readme, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"images": digits.images[:900], "labels": digits.labels[:900]}
    names |= {"new_images": digits.images[900:930, ::-1], "new_labels": ["upside down"] * 30}
    exec(lines.replace("SiameseVerifier()", "SiameseVerifier(epochs=1)"), names)
    assert (tmp_path / "my-verifier").is_dir()


def test_dark_images_and_few_images_cause_warnings(digits):
    dark = digits.images[:300] // 16
    with pytest.warns(UserWarning, match="no image is brighter than 15 of 255: scale them"):
        SiameseVerifier("raw pixels").fit(dark, digits.labels[:300])
    rows = np.concatenate([np.flatnonzero(digits.labels == c)[:20] for c in range(3)])
    with pytest.warns(UserWarning, match="the probability rests on 6 held-out images alone"):
        SiameseVerifier("raw pixels").fit(digits.images[rows], digits.labels[rows])


@pytest.fixture(scope="module")
def plain(digits):
    return SiameseVerifier("foreground mask").fit(digits.images[:1200], digits.labels[:1200])


def test_models_without_training_do_not_load_tensorflow(tmp_path, digits, plain):
    plain.save(tmp_path / "saved")
    np.save(tmp_path / "images.npy", digits.images[:9])
    program = (
        "import sys, numpy as np; from siamese_utils.verifier import SiameseVerifier; "
        "images = np.load(sys.argv[2]); saved = SiameseVerifier.load(sys.argv[1]); "
        "print(saved.distance(images[0], images).tobytes().hex()); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "saved"), str(tmp_path / "images.npy")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    distances = plain.distance(digits.images[0], digits.images[:9])
    assert done.stdout.strip() == distances.tobytes().hex()


def test_the_nearest_of_a_gallery(plain, digits):
    gallery, images = digits.images[:50], digits.images[1200:1205]
    apart = cdist(plain.embed(images), plain.embed(gallery))
    nearest = plain.nearest(images, gallery, k=3)
    assert np.array_equal(nearest.index, np.argsort(apart, axis=1)[:, :3])
    assert nearest.distance == pytest.approx(np.sort(apart, axis=1)[:, :3], abs=1e-3)
    again = plain.nearest(images, plain.embed(gallery), k=3)
    assert np.array_equal(again.index, nearest.index)
    with pytest.raises(ValueError, match="at most 50, not 51"):
        plain.nearest(images, gallery, k=51)


@pytest.mark.parametrize("rate", [0.2, 0.01])
def test_the_false_accept_rate_is_as_requested(digits, rate):
    rates = []
    for seed in range(10):
        judge = SiameseVerifier("foreground mask", seed=seed, false_accept_rate=rate)
        judge.fit(digits.images[:1200], digits.labels[:1200])
        a, b = np.random.default_rng(seed).integers(1200, 1797, size=(2, 2000))
        different = digits.labels[a] != digits.labels[b]
        accepted = judge.is_same(digits.images[a], digits.images[b]).same
        rates.append([accepted[different].mean(), accepted[~different].mean()])
    false, true = np.mean(rates, axis=0)  # one time more, one time less
    assert false == pytest.approx(rate, rel=0.4)
    assert true > false


def test_a_false_accept_rate_that_few_pairs_cannot_measure(digits):
    rows = np.concatenate([np.flatnonzero(digits.labels == c)[:20] for c in range(3)])
    judge = SiameseVerifier("foreground mask", false_accept_rate=0.01)
    with pytest.warns(
        UserWarning, match="12 pairs of two classes are too few for a false accept rate"
    ):
        judge.fit(digits.images[rows], digits.labels[rows])
    assert judge.threshold_ > 0
    # images without any dark ground have one foreground mask: not even that is accepted then
    with pytest.warns(UserWarning, match="no nearer than others"):
        judge.fit(np.maximum(digits.images[:900], 1), digits.labels[:900])
    assert not judge.is_same(digits.images[0] | 1, digits.images[0] | 1).same


def test_an_uninformative_distance_has_probability_one_half():
    noise = np.random.default_rng(0).integers(0, 256, (120, 9, 9), dtype=np.uint8)
    labels = np.repeat(range(3), 40)
    seen = []
    for seed in range(6):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            judge = SiameseVerifier("raw pixels", seed=seed).fit(noise, labels)
        answer = judge.is_same(noise[0], noise[0])
        seen.append(judge.probability_.slope == 0)
        if seen[-1]:
            assert answer == (False, 0.5)
            assert judge.evaluate(noise, labels)["accuracy"] == 0.5
        else:
            assert answer.same
    assert any(seen)


def test_an_interruption_during_calibration_leaves_nothing(digits, monkeypatch):
    judge = SiameseVerifier("raw pixels")
    monkeypatch.setattr(verifier.calibration, "fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        judge.fit(digits.images[:300], digits.labels[:300])
    with pytest.raises(NotFittedError):
        judge.distance(digits.images[0], digits.images[0])


def test_numbers_of_numpy_can_be_kept(digits, tmp_path):
    judge = SiameseVerifier(
        "raw pixels", seed=np.int64(3), epochs=np.int64(2), false_accept_rate=np.float32(0.1)
    )
    judge.fit(digits.images[:300], digits.labels[:300]).save(tmp_path / "saved")
    assert SiameseVerifier.load(tmp_path / "saved").seed == 3


def test_a_sample_of_many_classes_is_evaluated(digits):
    judge = SiameseVerifier("raw pixels").fit(digits.images[:300], digits.labels[:300])
    counted = judge._count(digits.images[:400], np.repeat(np.arange(200), 2))
    assert len(counted.classes) == verifier.user_images.MAX_CLASSES


def test_pairs_of_the_user_calibrate_the_probability(plain, digits):
    judge = clone(plain).fit(digits.images[:1200], digits.labels[:1200])
    a, b = np.random.default_rng(1).integers(1200, 1797, size=(2, 300))
    same = digits.labels[a] == digits.labels[b]
    before = judge.probability_
    judge.calibrate(digits.images[a], digits.images[b], same)
    assert judge.probability_ != before
    distance = judge.distance(digits.images[a], digits.images[b])
    wanted = calibration.fit(distance, same, same.sum())
    assert judge.probability_ == wanted
    with pytest.raises(ValueError, match="some of each kind"):
        judge.calibrate(digits.images[a], digits.images[b], np.ones(300))


def test_a_verifier_is_evaluated_on_all_pairs(plain, digits):
    images, labels = digits.images[1200:1400], digits.labels[1200:1400]
    figures = plain.evaluate(images, labels)
    a, b = np.triu_indices(200, k=1)
    same = labels[a] == labels[b]
    distance = plain.distance(images[a], images[b])
    # a pair weighs by the cell of classes that it is in, as in the report
    cell = np.minimum(labels[a], labels[b]) * 10 + np.maximum(labels[a], labels[b])
    weight = 1 / np.bincount(cell)[cell]
    assert figures["AUC"] == pytest.approx(
        roc_auc_score(~same, distance, sample_weight=weight), abs=1e-3
    )
    weight *= np.where(same, 0.5 / weight[same].sum(), 0.5 / weight[~same].sum())
    stated = plain.probability_(distance)
    assert figures["log-loss"] == pytest.approx(
        log_loss(same, stated, sample_weight=weight), abs=1e-3
    )
    assert figures["Brier"] == pytest.approx(np.sum(weight * (stated - same) ** 2), abs=1e-3)
    assert figures["accuracy"] == pytest.approx(np.sum(weight * ((stated > 0.5) == same)), abs=5e-3)
    assert plain.score(images, labels) == figures["AUC"]


def test_cross_validation_over_classes(digits):
    scores = cross_val_score(
        SiameseVerifier("raw pixels"),
        digits.images,
        digits.labels,
        groups=digits.labels,  # judged on classes that it was not shown
        cv=GroupKFold(3),
    )
    assert (scores > 0.8).all()


def test_a_verifier_passes_the_estimator_checks_of_scikit_learn():
    # those that hand over rows of numbers, where it takes images, are left out by its tags
    results = check_estimator(SiameseVerifier("raw pixels"), on_fail=None)
    assert results
    assert {one["status"] for one in results} == {"passed"}


def test_a_verifier_behaves_as_an_estimator(plain, digits):
    images, labels = digits.images[:1200], digits.labels[:1200]
    assert not [name for name in vars(clone(plain)) if name.endswith("_")]
    before, original = dict(vars(plain)), images.copy()
    again = clone(plain).fit(images, labels.astype(str))  # the same, whatever classes are called
    assert again.probability_ == plain.probability_
    assert np.array_equal(images, original)
    copy = pickle.loads(pickle.dumps(plain))
    assert np.array_equal(copy.distance(images[0], images), plain.distance(images[0], images))
    assert vars(plain) == before  # asking changes nothing


@pytest.fixture(scope="module")
def six(digits):
    """A verifier of the digits 0 to 5, and rows of images: of these to test, of the others to add."""
    old = np.isin(digits.labels[:1200], range(6))
    judge = SiameseVerifier(epochs=4).fit(digits.images[:1200][old], digits.labels[:1200][old])
    rows = np.arange(1200, 1797)
    new = [np.flatnonzero(digits.labels[:1200] == c)[:20] for c in range(6, 10)]
    return judge, rows[np.isin(digits.labels[rows], range(6))], np.concatenate(new)


def test_a_few_images_teach_new_classes_and_the_old_ones_are_not_forgotten(six, digits, tmp_path):
    judge, old, added = six
    new = np.flatnonzero((digits.labels > 5) & (np.arange(len(digits.labels)) >= 1200))
    before = [judge.score(digits.images[rows], digits.labels[rows]) for rows in (old, new)]
    judge.save(tmp_path / "six")
    taught = SiameseVerifier.load(tmp_path / "six")
    assert taught.add_classes(digits.images[added], digits.labels[added]) is taught
    after = [taught.score(digits.images[rows], digits.labels[rows]) for rows in (old, new)]
    assert after[1] > before[1] + 0.02
    assert after[0] > before[0] - 0.02
    assert taught.classes_ == [str(c) for c in range(10)]
    taught.save(tmp_path / "ten")
    again = SiameseVerifier.load(tmp_path / "ten")
    assert again.classes_ == taught.classes_
    distance = taught.distance(digits.images[1200], digits.images[1201])
    assert again.distance(digits.images[1200], digits.images[1201]) == pytest.approx(distance)
    assert judge.classes_ == [str(c) for c in range(6)]  # the verifier that was saved


def test_a_verifier_keeps_some_images_of_each_class(six, digits):
    judge = six[0]
    memory = judge.memory_
    assert memory.images.dtype == np.uint8
    assert np.bincount(memory.labels[~memory.held_out]).tolist() == [verifier.MEMORY_IMAGES] * 6
    kept = {image.tobytes() for image in memory.images}
    old = np.isin(digits.labels[:1200], range(6))
    assert kept <= {image.tobytes() for image in digits.images[:1200][old]}
    held_out = {image.tobytes() for image in memory.images[memory.held_out]}
    assert not held_out & {image.tobytes() for image in memory.images[~memory.held_out]}


def test_images_of_known_classes_add_to_them(plain, digits):
    judge = clone(plain).fit(digits.images[:300], digits.labels[:300])
    first = judge.memory_
    rows = np.flatnonzero(digits.labels == 3)[-30:]
    judge.add_classes(digits.images[rows], np.full(30, "3"))
    assert judge.classes_ == [str(c) for c in range(10)]
    more = np.bincount(judge.memory_.labels) - np.bincount(first.labels)
    assert more[3] == 30
    assert more.sum() == 30
    assert judge.memory_.held_out.sum() - first.held_out.sum() == 3


@pytest.mark.fault("Ctrl-C while classes are added", "the verifier is as before")
def test_an_interrupted_addition_leaves_the_verifier_as_it_was(six, digits, monkeypatch):
    judge, old, added = six
    before = judge.distance(digits.images[old[0]], digits.images[old[1]])
    monkeypatch.setattr(judge, "_calibrate_on", interrupt)
    judge.set_params(seed=7)
    with pytest.raises(KeyboardInterrupt):
        judge.add_classes(digits.images[added], digits.labels[added])
    monkeypatch.undo()
    assert judge.get_params()["seed"] == 7
    judge.set_params(seed=0)
    assert judge.classes_ == [str(c) for c in range(6)]
    assert len(judge.memory_.labels) == len(judge.memory_.images)
    assert judge.distance(digits.images[old[0]], digits.images[old[1]]) == before


@pytest.mark.parametrize(
    ("number", "labels", "message"),
    [
        (3, ["a", "a", "b"], "two images or more of each class"),
        (3, ["a", "a"], "one for each image"),
        (0, [], "a batch of one or more"),
    ],
)
def test_unsuitable_additions_are_refused(plain, digits, number, labels, message):
    with pytest.raises(ValueError, match=message):
        plain.add_classes(digits.images[:number], np.array(labels))


def test_classes_are_trained_evenly_whatever_their_size(digits, monkeypatch):
    """In the steps of a fit each class is as frequent as the others, and each image is used."""
    seen = {}

    def look(config, dataset, split, end_epoch, weights=None):
        steps = tasks.sample_training_batches(config, dataset, split)
        seen["counts"] = np.bincount(steps.images.ravel(), minlength=len(dataset.labels))
        seen["labels"], seen["train"] = dataset.labels, split.train
        raise KeyboardInterrupt

    monkeypatch.setattr(verifier.pair_training, "fit", look)
    rows = np.concatenate(
        [np.flatnonzero(digits.labels == 0)[:120], np.flatnonzero(digits.labels == 1)[:20]]
    )
    with pytest.raises(KeyboardInterrupt):
        SiameseVerifier().fit(digits.images[rows], digits.labels[rows])
    by_class = [seen["counts"][seen["labels"] == c].sum() for c in (0, 1)]
    assert by_class[0] == by_class[1]
    assert seen["counts"][seen["train"]].min() > 0


def test_feature_vectors_are_compared_by_cosine(tmp_path):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 16))
    labels = np.repeat(np.arange(6), 40)
    features = centres[labels] + 0.3 * rng.normal(size=(240, 16))
    judge = SiameseVerifier("features").fit(features, labels)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert judge.distance(features[0], features[50]) == pytest.approx(
        np.linalg.norm(unit[0] - unit[50]), rel=1e-5
    )
    assert judge.distance(3 * features[0], features[0]) == pytest.approx(0, abs=1e-5)
    assert judge.is_same(features[0], features[1]).same
    assert not judge.is_same(features[0], features[239]).same
    a, b = np.triu_indices(240, 1)
    distances = np.linalg.norm(unit[a] - unit[b], axis=1)
    # The classes are equally large, so all pairs of one kind have nearly the same weight.
    assert judge.score(features, labels) == pytest.approx(
        roc_auc_score(labels[a] == labels[b], -distances), abs=2e-3
    )
    by_hand = np.argsort(cdist(unit[:1], unit)[0])[:3]
    assert judge.nearest(features[0], features, 3).index[0].tolist() == by_hand.tolist()
    judge.save(tmp_path / "model")
    loaded = SiameseVerifier.load(tmp_path / "model")
    assert loaded.evaluate(features, labels) == judge.evaluate(features, labels)
    more = rng.normal(size=16) + 0.3 * rng.normal(size=(30, 16))
    loaded.add_classes(more, np.full(30, 6))
    assert loaded.classes_ == [*map(str, range(6)), "6"]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.full((40, 3), np.nan), "features must be finite numbers"),
        (np.zeros((40, 3), dtype=object), "features must be finite numbers"),
        (np.zeros((40, 3, 1)), r"must have the shape \(vectors, dimensions\)"),
        (np.zeros((39, 3)), r"labels must have the shape \(39,\)"),
    ],
)
def test_wrong_feature_vectors_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        SiameseVerifier("features").fit(features, np.repeat([0, 1], 20))


def test_images_are_no_feature_vectors():
    features = np.random.default_rng(0).normal(size=(40, 5))
    judge = SiameseVerifier("features").fit(features, np.repeat([0, 1], 20))
    with pytest.raises(ValueError, match=r"must be one feature vector of shape \(5,\)"):
        judge.embed(np.zeros((28, 28)))
    with pytest.raises(ValueError, match="is not a single network"):
        judge.export("anywhere")
