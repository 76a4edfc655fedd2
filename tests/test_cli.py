"""The command `siamese`, as it is typed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_utils import cli, model_selection, verifier

SIAMESE = [
    sys.executable,
    "-c",
    "import sys; from siamese_utils.cli import main; sys.exit(main())",
]


def run_siamese(*arguments):
    """Run the command in a process of its own."""
    return subprocess.run([*SIAMESE, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def answer(capsys):
    """Return a function that runs the command in this process and returns its answer."""

    def run(*arguments):
        assert cli.run([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def pictures(digits, tmp_path_factory):
    """Return a folder of digits as images; the names of the classes have several words."""
    folder = tmp_path_factory.mktemp("pictures")
    for part, rows in (("shown", range(600)), ("others", range(600, 1000))):
        for row in rows:
            path = folder / part / f"digit {digits.labels[row]}" / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.images[row, ..., 0]).save(path)
    (folder / "shown" / "digit 0" / "broken.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def model(pictures):
    model = pictures / "model"
    options = ("--model", "base", "--epochs", 3, "--json")
    done = run_siamese("fit", pictures / "shown", "--save", model, *options)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["images"], facts["classes"], facts["channels"]) == (600, 10, 1)
    assert {Path(path).name: why for path, why in facts["skipped"].items()} == {
        "broken.png": "not an image, or damaged"
    }
    lines = (line.strip() for line in done.stderr.splitlines())
    # on a slow machine there is a bar while the images are read
    summary, *bar = (line for line in lines if line and not line.startswith("reading"))
    assert summary == (
        "600 images, 28 x 28, grey; 1 file skipped: "
        f"{pictures / 'shown' / 'digit 0' / 'broken.png'}: not an image, or damaged"
    )
    assert all("epoch" in state for state in bar)
    assert "3/3" in bar[-1]
    return model


def test_two_images_are_compared(model, pictures, answer):
    [a, b, *_] = sorted((pictures / "others" / "digit 0").iterdir())
    done = run_siamese("compare", model, a, b)
    assert done.returncode == 0
    assert not done.stderr  # no word of TensorFlow's
    names = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert names == ["distance", "same", "probability"]
    same_image = answer("compare", model, a, a)
    assert same_image["distance"] == 0
    assert same_image["same"] is True


def test_the_nearest_are_found(model, pictures, answer, capsys):
    queries = sorted((pictures / "others" / "digit 6").iterdir())[:10]
    search = [answer("search", model, query, pictures / "shown", "-k", 3) for query in queries]
    classes = [Path(result["nearest"][0]["image"]).parent.name for result in search]
    assert classes.count("digit 6") > 5
    query, nearest = queries[0], search[0]["nearest"]
    assert [one["distance"] for one in nearest] == sorted(one["distance"] for one in nearest)
    assert cli.run(["search", str(model), str(query), str(pictures / "shown"), "-k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1] for line in lines] == [one["image"] for one in nearest]


def test_a_gallery_is_embedded_again_only_if_it_changes(
    model, pictures, tmp_path, answer, monkeypatch, capsys
):
    gallery, model_copy = tmp_path / "gallery", tmp_path / "model"
    shutil.copytree(model, model_copy, ignore=shutil.ignore_patterns("gallery-*"))
    shutil.copytree(pictures / "shown" / "digit 6", gallery)
    (gallery / "a note.png").write_text("no image")  # the first by name
    [query, *_] = sorted((pictures / "others" / "digit 6").iterdir())
    search = ("search", model_copy, query, gallery, "-k", 4)
    first, number = answer(*search), len(list(gallery.iterdir())) - 1
    embedded, embed = [], cli.SiameseVerifier.embed

    def count(verifier, images):
        embedded.append(len(images) if images.ndim == 4 else 1)
        return embed(verifier, images)

    monkeypatch.setattr(cli.SiameseVerifier, "embed", count)
    assert answer(*search) == first
    assert embedded == [1]  # what is asked for
    [file] = model_copy.glob("gallery-*.npz")
    file.write_bytes(file.read_bytes()[:-9])  # torn
    assert answer(*search) == first
    assert embedded[1:] == [number, 1]
    shutil.copy(query, gallery / "it.png")
    changed = answer(*search)
    assert changed["nearest"][0]["image"] == str(gallery / "it.png")
    # bfloat16 rounds embeddings of another batch otherwise: near ties may change places
    distances = [one["distance"] for one in changed["nearest"][1:]]
    assert distances == pytest.approx([one["distance"] for one in first["nearest"][:3]], rel=0.02)
    assert list(model_copy.glob("gallery-*.npz")) == [file]  # in the place of the old one


def test_a_gallery_may_hold_the_model(model, pictures, tmp_path, capsys):
    model_copy = tmp_path / "model"
    shutil.copytree(model, model_copy, ignore=shutil.ignore_patterns("gallery-*"))
    shutil.copytree(pictures / "shown" / "digit 6", tmp_path / "six")
    (tmp_path / "broken.png").write_text("no image")
    [query, *_] = sorted((pictures / "others" / "digit 6").iterdir())
    search = ["search", str(model_copy), str(query), str(tmp_path)]
    for _ in range(2):
        assert cli.run(search) == 0
        assert "broken.png" in capsys.readouterr().err  # known to be left out a second time too
    [file] = model_copy.glob("gallery-*.npz")
    before = file.stat().st_mtime_ns
    assert cli.run(search) == 0
    assert file.stat().st_mtime_ns == before


def test_a_network_is_exported(model, tmp_path, answer, capsys):
    folder = tmp_path / "lite"
    assert answer("export", model, folder, "--form", "litert") == {"folder": str(folder)}
    assert sorted(path.name for path in folder.iterdir()) == ["encoder.tflite", "verifier.json"]
    assert cli.run(["export", str(model), str(folder)]) == 2
    assert "already exists" in capsys.readouterr().err


def test_a_verifier_is_evaluated_on_other_images(model, pictures, answer):
    figures = answer("evaluate", model, pictures / "others")
    assert figures["AUC"] > 0.85
    assert figures["log-loss"] < 0.69


def test_models_without_training_can_be_fitted(pictures, tmp_path, answer):
    plain = ["--model", "foreground mask", "--false-accept-rate", 0.05, "--image-size", 20]
    answer("fit", pictures / "shown", "--save", tmp_path / "plain", *plain)
    figures = answer("evaluate", tmp_path / "plain", pictures / "others")
    assert figures["AUC"] > 0.7


def test_the_best_model_on_held_out_classes_is_fitted(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(model_selection, "MODELS", ("foreground mask", "raw pixels"))
    assert cli.run(["fit", str(pictures / "shown"), "--save", str(tmp_path / "best")]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("AUC on held-out classes:")
    names = [line.rsplit(maxsplit=1)[0].strip() for line in lines[start + 1 : start + 3]]
    values = [float(line.rsplit(maxsplit=1)[1]) for line in lines[start + 1 : start + 3]]
    assert sorted(names) == ["foreground mask", "raw pixels"]
    assert values == sorted(values, reverse=True)
    assert f"model: {names[0]}" in lines
    assert verifier.SiameseVerifier.load(tmp_path / "best").model == names[0]


def test_with_few_classes_no_model_is_compared(pictures, tmp_path, capsys):
    few = tmp_path / "few"
    for number in range(2):
        shutil.copytree(pictures / "shown" / f"digit {number + 1}", few / f"{number}")
    assert cli.run(["fit", str(few), "--save", str(tmp_path / "m"), "--epochs", "1"]) == 0
    printed = capsys.readouterr()
    assert "2 classes are too few to compare models" in printed.err
    assert "model: base" in printed.out.splitlines()


def test_a_training_run_that_diverges_saves_nothing(pictures, tmp_path, monkeypatch, capsys):
    def diverge(config, dataset, split, end_epoch, weights):
        end_epoch({"loss": float("nan")}, None)

    monkeypatch.setattr(verifier.pair_training, "fit", diverge)
    options = ["fit", str(pictures / "shown"), "--save", str(tmp_path / "m"), "--model", "base"]
    assert cli.run(options) == 1
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line == "siamese: base, m = 1, rmsprop, seed 0: the loss is not finite"
    assert not list(tmp_path.iterdir())


def test_mistakes_end_with_one_line_and_exit_status_2(model, pictures, tmp_path, capsys):
    a = next((pictures / "others" / "digit 0").iterdir())
    few = tmp_path / "few"
    for name in ("x", "y"):
        (few / name).mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(few / name / "a.png")
    for arguments, message in [
        ([], "COMMAND"),
        (["fitt"], "fitt"),
        (["fit", pictures], "--save"),
        (["fit", pictures / "shown", "--save", model], "already exists"),
        (["fit", few, "--save", tmp_path / "m"], "x has 1 images; 20 are needed"),
        (["fit", tmp_path / "none", "--save", tmp_path / "m"], "none is not a folder"),
        (["fit", few, "--save", tmp_path / "m", "--image-size", 4], "--image-size must be 8 to"),
        (["fit", few, "--save", tmp_path / "m", "--model", "vgg"], "vgg"),
        (["compare", tmp_path, a, a], "holds no verifier"),
        (["compare", model, a, __file__], "test_cli.py: not an image, or damaged"),
        (["search", model, a, tmp_path / "none"], "none is not a folder"),
        (["search", model, a, pictures, "-k", 0], "-k must be 1 or more"),
    ]:
        try:
            status = cli.run([*map(str, arguments)])
        except SystemExit as stop:  # argparse's own way
            status = stop.code
        assert status == 2, arguments
        printed = capsys.readouterr()
        [line] = printed.err.splitlines()
        assert message in line
        assert not printed.out
    assert not (tmp_path / "m").exists()


def test_classes_are_added_to_a_saved_model(answer, digits, model, pictures, tmp_path):
    for row in np.flatnonzero(digits.labels == 4)[-24:]:
        path = tmp_path / "new" / "upside down" / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[row, ::-1, :, 0]).save(path)
    facts = answer("add", model, tmp_path / "new", "--save", tmp_path / "taught")
    assert facts["new classes"] == ["upside down"]
    assert (facts["images"], facts["classes"]) == (24, 11)
    assert len(verifier.SiameseVerifier.load(tmp_path / "taught").classes_) == 11
    assert len(verifier.SiameseVerifier.load(model).classes_) == 10


def test_an_addition_writes_over_nothing(model, pictures, capsys):
    assert cli.run(["add", str(model), str(pictures / "others"), "--save", str(model)]) == 2
    assert "already exists; choose another folder for --save" in capsys.readouterr().err


def test_feature_vectors_take_the_place_of_images(answer, capsys, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(["cat", "dog", "hen"], 40)
    features = rng.normal(size=(3, 8))[np.repeat([0, 1, 2], 40)] + 0.2 * rng.normal(size=(120, 8))
    files = {
        name: tmp_path / name for name in ("all.npz", "a.npy", "b.npy", "gallery.npz", "new.npz")
    }
    np.savez(files["all.npz"], features=features, labels=labels)
    np.savez(files["gallery.npz"], features=features, names=[f"{i}.jpg" for i in range(120)])
    np.savez(files["new.npz"], features=rng.normal(size=8) + np.zeros((25, 8)), labels=["owl"] * 25)
    np.save(files["a.npy"], features[0])
    np.save(files["b.npy"], features[119])
    model = tmp_path / "model"
    facts = answer("fit", "--features", files["all.npz"], "--save", model)
    assert (facts["model"], facts["vectors"], facts["classes"]) == ("features", 120, 3)
    assert answer("evaluate", model, files["all.npz"])["AUC"] > 0.95
    assert not answer("compare", model, files["a.npy"], files["b.npy"])["same"]
    nearest = answer("search", model, files["a.npy"], files["gallery.npz"], "-k", 2)["nearest"]
    assert nearest[0]["image"] == "0.jpg"
    assert nearest[0]["distance"] == pytest.approx(0, abs=1e-6)
    added = answer("add", model, files["new.npz"], "--save", tmp_path / "larger")
    assert added["new classes"] == ["owl"]
    for arguments, message in (
        (("fit", "--save", tmp_path / "x"), "give a folder of images, or --features FILE"),
        (("fit", tmp_path, "--features", files["all.npz"], "--save", tmp_path / "x"), "give a fol"),
        (
            ("fit", "--features", files["all.npz"], "--model", "base", "--save", tmp_path / "x"),
            "--model base is for images",
        ),
        (("compare", model, files["all.npz"], files["a.npy"]), "but must have one"),
        (("evaluate", model, files["gallery.npz"]), "has no array 'labels'"),
    ):
        assert cli.run([*map(str, arguments)]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
