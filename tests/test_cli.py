"""The command `siamese`, as it is typed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_utils import cli, verifier
from siamese_utils.training.trainer import TrainingDivergedError

SIAMESE = [
    sys.executable,
    "-c",
    "import sys; from siamese_utils.cli import main; sys.exit(main())",
]


def ask(*arguments):
    """What the command says in a process of its own."""
    return subprocess.run([*SIAMESE, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def told(capsys):
    """A function that runs the command in this process and returns what it answers."""

    def run(*arguments):
        assert cli.run([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def pictures(digits, tmp_path_factory):
    """Folders of digits as images: the classes' names are words, since a folder may be called so."""
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
    done = ask("fit", pictures / "shown", "--save", model, "--epochs", 3, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["images"], told["classes"], told["channels"]) == (600, 10, 1)
    assert [Path(path).name for path in told["unreadable"]] == ["broken.png"]
    lines = [line for line in done.stderr.splitlines() if "epoch" not in line]
    assert lines == [
        "600 images, 28 x 28, grey; 1 file cannot be read and is left out: "
        f"{pictures / 'shown' / 'digit 0' / 'broken.png'}"
    ]
    return model


def test_two_images_are_compared(model, pictures, told):
    [a, b, *_] = sorted((pictures / "others" / "digit 0").iterdir())
    done = ask("compare", model, a, b)
    assert done.returncode == 0
    assert not done.stderr  # no word of TensorFlow's
    names = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert names == ["distance", "same", "probability"]
    found = told("compare", model, a, a)
    assert found["distance"] == 0
    assert found["same"] is True


def test_the_nearest_are_found(model, pictures, told, capsys):
    queries = sorted((pictures / "others" / "digit 6").iterdir())[:10]
    search = [told("search", model, query, pictures / "shown", "-k", 3) for query in queries]
    classes = [Path(found["nearest"][0]["image"]).parent.name for found in search]
    assert classes.count("digit 6") > 5
    query, nearest = queries[0], search[0]["nearest"]
    assert [one["distance"] for one in nearest] == sorted(one["distance"] for one in nearest)
    assert cli.run(["search", str(model), str(query), str(pictures / "shown"), "-k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1] for line in lines] == [one["image"] for one in nearest]


def test_a_gallery_is_embedded_once_until_it_changes(
    model, pictures, tmp_path, told, monkeypatch, capsys
):
    gallery, kept = tmp_path / "gallery", tmp_path / "model"
    shutil.copytree(model, kept, ignore=shutil.ignore_patterns("gallery-*"))
    shutil.copytree(pictures / "shown" / "digit 6", gallery)
    (gallery / "a note.png").write_text("no image")  # the first by name
    [query, *_] = sorted((pictures / "others" / "digit 6").iterdir())
    search = ("search", kept, query, gallery, "-k", 4)
    first, number = told(*search), len(list(gallery.iterdir())) - 1
    embedded, embed = [], cli.SiameseVerifier.embed

    def count(verifier, images):
        embedded.append(len(images))
        return embed(verifier, images)

    monkeypatch.setattr(cli.SiameseVerifier, "embed", count)
    assert told(*search) == first
    assert embedded == [1]  # what is asked for
    [file] = kept.glob("gallery-*.npz")
    file.write_bytes(file.read_bytes()[:-9])  # torn
    assert told(*search) == first
    assert embedded[1:] == [number, 1]
    shutil.copy(query, gallery / "it.png")
    found = told(*search)
    assert found["nearest"][0]["image"] == str(gallery / "it.png")
    # bfloat16 rounds embeddings of another batch otherwise: near ties may change places
    distances = [one["distance"] for one in found["nearest"][1:]]
    assert distances == pytest.approx([one["distance"] for one in first["nearest"][:3]], rel=0.02)
    assert list(kept.glob("gallery-*.npz")) == [file]  # in the place of the old one


def test_a_gallery_may_hold_the_model(model, pictures, tmp_path, capsys):
    kept = tmp_path / "model"
    shutil.copytree(model, kept, ignore=shutil.ignore_patterns("gallery-*"))
    shutil.copytree(pictures / "shown" / "digit 6", tmp_path / "six")
    (tmp_path / "broken.png").write_text("no image")
    [query, *_] = sorted((pictures / "others" / "digit 6").iterdir())
    search = ["search", str(kept), str(query), str(tmp_path)]
    for _ in range(2):
        assert cli.run(search) == 0
        assert "broken.png" in capsys.readouterr().err  # known to be left out a second time too
    [file] = kept.glob("gallery-*.npz")
    before = file.stat().st_mtime_ns
    assert cli.run(search) == 0
    assert file.stat().st_mtime_ns == before


def test_a_network_is_exported(model, tmp_path, told, capsys):
    folder = tmp_path / "lite"
    assert told("export", model, folder, "--form", "litert") == {"folder": str(folder)}
    assert sorted(path.name for path in folder.iterdir()) == ["encoder.tflite", "verifier.json"]
    assert cli.run(["export", str(model), str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_it_is_measured_on_other_images(model, pictures, told):
    found = told("evaluate", model, pictures / "others")
    assert found["AUC"] > 0.85
    assert found["log-loss"] < 0.69


def test_what_learns_nothing_is_fitted_at_once(pictures, tmp_path, told):
    plain = ["--model", "silhouette", "--false-accept-rate", 0.05, "--image-size", 20]
    told("fit", pictures / "shown", "--save", tmp_path / "plain", *plain)
    found = told("evaluate", tmp_path / "plain", pictures / "others")
    assert found["AUC"] > 0.7


def test_a_training_that_diverges_keeps_nothing(pictures, tmp_path, monkeypatch, capsys):
    def diverge(*_):
        raise TrainingDivergedError("base: the loss is no number any more")

    monkeypatch.setattr(verifier, "_train", diverge)
    options = ["fit", str(pictures / "shown"), "--save", str(tmp_path / "m")]
    assert cli.run(options) == 1
    assert "siamese: base: the loss is no number" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_mistakes_end_with_one_line_and_exit_2(model, pictures, tmp_path, capsys):
    a = next((pictures / "others" / "digit 0").iterdir())
    few = tmp_path / "few"
    for name in ("x", "y"):
        (few / name).mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(few / name / "a.png")
    for arguments, message in [
        ([], "COMMAND"),
        (["fitt"], "fitt"),
        (["fit", pictures], "--save"),
        (["fit", pictures / "shown", "--save", model], "is there already"),
        (["fit", few, "--save", tmp_path / "m"], "x has 1 images; 20 are needed"),
        (["fit", tmp_path / "none", "--save", tmp_path / "m"], "none is no folder"),
        (["fit", few, "--save", tmp_path / "m", "--image-size", 4], "--image-size must be 8 to"),
        (["fit", few, "--save", tmp_path / "m", "--model", "vgg"], "vgg"),
        (["compare", tmp_path, a, a], "holds no verifier"),
        (["compare", model, a, __file__], "test_cli.py cannot be read as an image"),
        (["search", model, a, tmp_path / "none"], "none is no folder"),
        (["search", model, a, pictures, "-k", 0], "-k must be 1 or more"),
    ]:
        try:
            status = cli.run([*map(str, arguments)])
        except SystemExit as stop:  # argparse's own way
            status = stop.code
        assert status == 2, arguments
        said = capsys.readouterr()
        [line] = said.err.splitlines()
        assert message in line
        assert not said.out
    assert not (tmp_path / "m").exists()
