import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from siamese_utils import settings, verifier
from siamese_utils.verifier import SiameseVerifier


@pytest.fixture(scope="module")
def fitted(digits):
    return SiameseVerifier(epochs=4).fit(digits.images[:1200], digits.labels[:1200])


@pytest.fixture
def two(digits):
    return digits.images[1200], digits.images[1300:1306]


def test_it_judges_images_it_has_not_seen(fitted, digits):
    rows = np.arange(1200, 1790)
    a, b = rows[:-1], rows[1:]
    same = digits.labels[a] == digits.labels[b]
    answer = fitted.is_same(digits.images[a], digits.images[b])
    assert np.mean(answer.same[same]) > 0.8
    assert np.mean(~answer.same[~same]) > 0.8
    # calibrated on as many same pairs as different ones: so are these weighed
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    assert np.sum(weight * answer.probability) == pytest.approx(0.5, abs=0.1)


def test_one_image_or_many_in_any_form(fitted, two):
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


def test_the_probability_is_that_of_platts_targets():
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(9, 2)), np.repeat([0, 1, 2], 3)

    def loss(line):  # pair by pair, each kind with the weight of nine
        cost = 0
        for i, j in itertools.combinations(range(9), 2):
            same = labels[i] == labels[j]
            p = 1 / (1 + np.exp(-line[0] * np.linalg.norm(embeddings[i] - embeddings[j]) - line[1]))
            wanted = 10 / 11 if same else 1 / 11
            each = 9 / (9 if same else 27)
            cost -= each * (wanted * np.log(p) + (1 - wanted) * np.log(1 - p))
        return cost

    wanted = optimize.minimize(loss, [0, 0], tol=1e-10).x
    assert verifier._calibrate(embeddings, labels) == pytest.approx(wanted, abs=1e-3)


def test_few_held_out_images_make_no_certainty():
    labels = np.repeat([0, 1], 5)
    slope, intercept = verifier._calibrate(10.0 * labels[:, np.newaxis], labels)  # told apart
    for distance, wanted in ((0, 11 / 12), (10, 1 / 12)):
        assert expit(slope * distance + intercept) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((27, 28), np.uint8), r"a must be one image of shape \(28, 28\) or \(28, 28, 1\)"),
        (np.zeros((28, 28, 3), np.uint8), r"not \(28, 28, 3\)"),
        (np.zeros((28, 28), int), "a must be uint8 of 0..255 or float of 0..1, not int64"),
        (np.full((28, 28), 255.0), "a of float must lie in 0..1, not in 255..255"),
        (np.full((28, 28), np.nan), "a of float must lie in 0..1"),
        ("cat.png", "a must be uint8"),
    ],
)
def test_anything_else_is_refused_with_what_it_got_and_wants(fitted, two, image, message):
    with pytest.raises(ValueError, match=message):
        fitted.distance(image, two[0])


def test_batches_of_unlike_length_are_refused(fitted, two):
    with pytest.raises(ValueError, match="a holds 6 images and b 5"):
        fitted.distance(two[1], two[1][:5])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((40, 8, 8), np.uint8), np.zeros(40), "two classes of 20 images at least"),
        (np.zeros((40, 8, 8), np.uint8), np.arange(40) % 4, "not 4 with 10 in one"),
        (np.zeros((40, 8, 8), np.uint8), np.zeros(39), "one for each image"),
        (np.zeros((40, 64), np.uint8), np.zeros(40), r"not \(40, 64\)"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        SiameseVerifier().fit(images, labels)


def test_copies_of_one_image_cannot_be_held_out():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8))
    images[20:] = images[20]
    with pytest.raises(ValueError, match="class 1 has too many copies of one image"):
        SiameseVerifier().fit(np.uint8(images), np.repeat([0, 1], 20))


@pytest.mark.fault("Ctrl-C while a verifier is fitted", "it answers nothing")
def test_an_interrupted_fit_answers_nothing(digits, two, monkeypatch):
    judge = SiameseVerifier(epochs=1).fit(digits.images[:300], digits.labels[:300])
    monkeypatch.setattr(
        verifier.training, "fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        judge.fit(digits.images[:300], digits.labels[:300])
    with pytest.raises(RuntimeError, match="call fit"):
        judge.is_same(two[0], two[0])


def test_many_classes_fit_in_a_step():
    images = np.random.default_rng(0).integers(0, 256, (65 * 20, 8, 8), dtype=np.uint8)
    judge = SiameseVerifier(epochs=1).fit(images, np.repeat(np.arange(65), 20))
    assert judge.distance(images[0], images[1]) >= 0


def test_before_fit_there_is_no_answer(two, tmp_path):
    with pytest.raises(RuntimeError, match="call fit"):
        SiameseVerifier().distance(two[0], two[0])
    with pytest.raises(RuntimeError, match="call fit"):
        SiameseVerifier().save(tmp_path / "none")
    with pytest.raises(ValueError, match="unknown model"):
        SiameseVerifier(model="vgg")


def test_a_kept_verifier_gives_the_same_distances_in_a_fresh_process(fitted, two, tmp_path):
    folder = fitted.save(tmp_path / "kept")
    np.savez(tmp_path / "images.npz", one=two[0], many=two[1])
    program = (
        "import sys, numpy as np; from siamese_utils.verifier import SiameseVerifier; "
        "images = np.load(sys.argv[2]); kept = SiameseVerifier.load(sys.argv[1]); "
        "print(kept.distance(images['one'], images['many']).tobytes().hex(), "
        "kept.is_same(images['one'], images['many']).probability.tobytes().hex())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "images.npz")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    distance, probability = told.stdout.split()[-2:]
    assert distance == fitted.distance(*two).tobytes().hex()
    assert probability == fitted.is_same(*two).probability.tobytes().hex()


def test_what_is_kept_is_plain(fitted, tmp_path):
    folder = fitted.save(tmp_path / "deeper" / "kept")
    assert {path.name for path in folder.iterdir()} == {
        verifier.ARCHITECTURE, verifier.WEIGHTS, verifier.SETTINGS
    }  # fmt: skip
    assert "Lambda" not in (folder / verifier.ARCHITECTURE).read_text()
    json.loads((folder / verifier.ARCHITECTURE).read_text())
    with np.load(folder / verifier.WEIGHTS, allow_pickle=False) as arrays:
        assert len(arrays) == 8
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]
    with pytest.raises(FileExistsError, match="choose another"):
        fitted.save(folder)


def test_the_recipe_refuses_large_images():
    images = np.random.default_rng(0).integers(0, 256, (40, 49, 20), dtype=np.uint8)
    with pytest.raises(ValueError, match="up to 48 x 48, not 49 x 20: shrink them"):
        SiameseVerifier(model="recipe").fit(images, np.repeat([0, 1], 20))


def test_the_recipe_judges_classes_that_it_was_not_shown(digits, tmp_path):
    shown = np.isin(digits.labels, digits.seen)
    judge = SiameseVerifier(model="recipe").fit(digits.images[shown], digits.labels[shown])
    images, labels = digits.images[~shown], digits.labels[~shown]
    a, b = np.random.default_rng(0).integers(len(labels), size=(2, 600))
    different = labels[a] != labels[b]
    assert roc_auc_score(different, judge.distance(images[a], images[b])) > 0.85
    again = SiameseVerifier.load(judge.save(tmp_path / "kept"))
    assert np.array_equal(
        again.distance(images[a], images[b]), judge.distance(images[a], images[b])
    )


@pytest.mark.parametrize("name", [verifier.ARCHITECTURE, verifier.WEIGHTS, verifier.SETTINGS])
@pytest.mark.fault("a bit of a kept verifier is flipped", "it is refused")
def test_what_was_changed_since_is_refused(fitted, tmp_path, name):
    path = fitted.save(tmp_path / "kept") / name
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=20):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        same_values = name == verifier.SETTINGS and _values(changed) == _values(whole)
        if not same_values:  # a space for another says nothing else
            with pytest.raises(ValueError, match="kept is damaged"):
                SiameseVerifier.load(path.parent)
    path.write_bytes(whole)
    assert SiameseVerifier.load(path.parent).slope == fitted.slope


def _values(text):
    try:
        return json.loads(bytes(text))
    except ValueError:
        return None


@pytest.mark.fault("the weights of a kept verifier are not numbers", "it is refused")
def test_weights_that_are_no_numbers_are_refused(fitted, tmp_path):
    folder = fitted.save(tmp_path / "kept")
    nothing = [np.full_like(weight, np.nan) for weight in fitted.encoders[0].get_weights()]
    np.savez(folder / verifier.WEIGHTS, *nothing)
    with pytest.raises(ValueError, match="kept is damaged or was changed"):
        SiameseVerifier.load(folder)


@pytest.mark.fault("Ctrl-C while a verifier is saved", "nothing is left")
def test_an_interrupted_save_leaves_nothing(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fitted.save(tmp_path / "kept")
    assert not list(tmp_path.iterdir())


def test_the_lines_of_the_readme_run(digits, tmp_path, monkeypatch):
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n(.+?)```", readme, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {"images": digits.images, "labels": digits.labels}
    exec(lines.replace("SiameseVerifier()", "SiameseVerifier(epochs=1)"), names)
    assert (tmp_path / "my-verifier").is_dir()
