import re
import shutil

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from siamese_utils import settings
from siamese_utils.data import datasets, image_folder, user_images
from siamese_utils.data.fashion_mnist import DataError
from siamese_utils.publishing.chapters import USER_IMAGES
from siamese_utils.training import study_plan
from siamese_utils.training.pair_training import TrainingConfig

CLASSES = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture(scope="module")
def noise_images(tmp_path_factory):
    """Return a folder of five classes of twenty images each, of several sizes, and one other file."""
    folder = tmp_path_factory.mktemp("pets")
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir()
        for i in range(20):
            image = Image.fromarray(rng.integers(0, 256, (9 + i, 12), dtype=np.uint8))
            image.save(folder / name / f"{i}.png")
    (folder / "ant" / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def pets(noise_images, tmp_path, store, fresh):
    return shutil.copytree(noise_images, tmp_path / "pets")


@pytest.fixture
def reads(monkeypatch):
    """Return a list to which each reading of files appends their number."""
    numbers, read = [], image_folder.pictures.read

    def count(paths, *how):
        numbers.append(len(paths))
        return read(paths, *how)

    monkeypatch.setattr(image_folder.pictures, "read", count)
    return numbers


def test_a_folder_becomes_a_data_set(pets, capsys):
    dataset = datasets.load(image_folder.import_folder(pets, 10))
    assert dataset.name == "pets"
    assert dataset.class_names == CLASSES
    assert dataset.images.shape == (100, 10, 10, 1)
    assert np.bincount(dataset.labels).tolist() == [20] * 5
    [at] = [i for i, path in enumerate(sorted((pets / "bee").iterdir())) if path.name == "3.png"]
    whole = Image.open(pets / "bee" / "3.png")  # 12 x 12, as it happens
    expected = np.asarray(whole.resize((10, 10), Image.Resampling.BILINEAR), dtype=int)
    assert np.abs(dataset.images[20 + at, ..., 0] - expected).max() <= 1
    assert "notes.txt" in capsys.readouterr().err
    assert dataset.banner == (
        "Made from the images in “pets”: 100 images, 10 x 10, grey; 1 file skipped."
    )
    assert not dataset.has_study_figures


def test_four_tenths_of_the_classes_are_unseen_unless_they_are_named(pets):
    sampled = datasets.load(image_folder.import_folder(pets))
    assert len(sampled.unseen) == 2
    assert sorted(sampled.seen + sampled.unseen) == [0, 1, 2, 3, 4]
    named = datasets.load(image_folder.import_folder(pets, unseen=["dog", "bee", "dog"]))
    assert named.names_of(named.unseen) == ["bee", "dog"]


def test_an_unchanged_folder_is_read_once(pets, reads):
    name = image_folder.import_folder(pets)
    assert image_folder.import_folder(pets) == name
    assert reads == [101]


@pytest.mark.parametrize("change", ["content", "another file", "size", "unseen", "class"])
def test_a_changed_folder_is_read_again(pets, reads, change):
    name = image_folder.import_folder(pets)
    size, unseen = (30 if change == "size" else user_images.DEFAULT_SIDE), ()
    if change == "content":  # of the same length, at the same time
        path = pets / "cat" / "7.png"
        before, content = path.stat(), bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        assert path.stat().st_size == before.st_size
    elif change == "another file":
        shutil.copy(pets / "cat" / "7.png", pets / "cat" / "more.png")
    elif change == "unseen":
        chosen = datasets.load(name).unseen
        unseen = [c for i, c in enumerate(CLASSES) if i not in chosen][:2]
    elif change == "class":
        (pets / "dog").rename(pets / "fox")
    assert image_folder.import_folder(pets, size, unseen) != name
    assert len(reads) == 2


@pytest.mark.fault("the kept copy of one's own images cut, changed or another's", "made anew")
def test_a_damaged_copy_is_replaced(pets, store, reads):
    name = image_folder.import_folder(pets)
    path = store / f"{name}.npz"
    whole = path.read_bytes()
    flipped = whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:]
    for damaged in (whole[:-1], flipped, b"", whole[:-40]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="give the folder of the images again"):
            image_folder.load(name)
    assert image_folder.import_folder(pets) == name
    assert path.read_bytes() == whole
    path.rename(path.with_name(f"{image_folder.NAME_PREFIX}other.npz"))
    with pytest.raises(DataError):  # another's content under this name
        image_folder.load(f"{image_folder.NAME_PREFIX}other")


def test_a_folder_can_be_named_where_a_data_set_can(pets, monkeypatch):
    name = datasets.resolve_name(str(pets))
    assert datasets.load(str(pets)) is datasets.load(name)
    assert datasets.resolve_name(name) == name
    monkeypatch.chdir(pets.parent)
    assert datasets.resolve_name("pets") == name
    with pytest.raises(ValueError, match="unknown data set 'pet'"):
        datasets.resolve_name("pet")


def test_the_banner_names_a_limited_number_of_images(pets):
    dataset = datasets.load(image_folder.import_folder(pets), 15)
    assert len(dataset.labels) == 75
    assert dataset.banner.endswith("skipped. A quick look at 15 images of each class.")


@pytest.mark.fault(
    "a folder of images with too few classes or images, too many, or none", "one line, exit 2"
)
@pytest.mark.parametrize(
    ("spoil", "how", "message"),
    [
        (lambda f: shutil.rmtree(f), {}, "is not a folder"),
        (lambda f: [shutil.rmtree(f / c) for c in CLASSES], {}, "holds no images"),
        (
            lambda f: [shutil.rmtree(f / c) for c in CLASSES[:2]],
            {},
            "3 subfolders .* needs 4 to 60",
        ),
        (lambda f: [_add(f, f"x{i}") for i in range(56)], {}, "61 subfolders .* needs 4 to 60"),
        (lambda f: (f / "bee" / "9.png").unlink(), {}, "bee has 19 images; 20 are needed"),
        (lambda f: (f / "bee" / "9.png").write_text("?"), {}, "bee has 19 images; 20 are needed"),
        (lambda f: [p.write_text("?") for p in (f / "bee").iterdir()], {}, "bee has 0 images"),
        (lambda f: None, {"size": 7}, "--image-size must be 8 to 48, not 7"),
        (lambda f: None, {"size": 49}, "--image-size must be 8 to 48, not 49"),
        (lambda f: None, {"unseen": ["bee"]}, "2 to 3 of 5 classes can be unseen, not 1"),
        (lambda f: None, {"unseen": CLASSES[1:]}, "2 to 3 of 5 classes can be unseen, not 4"),
        (
            lambda f: None,
            {"unseen": ["bee", "elk"]},
            "no class elk to leave unseen; choose from ant,",
        ),
    ],
)
def test_unsuitable_folders_are_refused(pets, store, spoil, how, message):
    spoil(pets)
    with pytest.raises(ValueError, match=message):
        image_folder.import_folder(pets, **how)
    assert not store.exists()


def test_a_file_that_is_no_image_changes_no_key(pets):
    before = image_folder.import_folder(pets)
    (pets / "ant" / "Thumbs.db").write_text("no image")
    after = image_folder.import_folder(pets)
    assert after != before
    keys = {
        TrainingConfig(dataset=name, images_per_class=15).resolve().key()
        for name in (before, after)
    }
    assert len(keys) == 1


def test_a_folder_can_have_any_name(pets, monkeypatch):
    monkeypatch.chdir(pets.parent)
    pets.rename("images-of-pets")
    assert datasets.load("images-of-pets").name == "images-of-pets"


@pytest.mark.parametrize("place", ["folder", "class"])
def test_a_name_that_is_not_valid_utf8_is_refused(pets, place):
    path = pets if place == "folder" else pets / "ant"
    path.rename(path.with_name("caf\udce9"))
    with pytest.raises(ValueError, match="is not valid UTF-8; rename it"):
        image_folder.import_folder(pets.with_name("caf\udce9") if place == "folder" else pets)


def test_copies_of_one_image_are_refused(pets, store):
    for path in (pets / "bee").glob("*.png"):
        if path.name != "0.png":
            shutil.copy(pets / "bee" / "0.png", path)
    with pytest.raises(ValueError, match="bee has too many copies of one image"):
        image_folder.import_folder(pets, unseen=["ant", "cat"])
    assert not store.exists()


def _add(folder, name):
    (folder / name).mkdir()
    (folder / name / "a.png").write_text("?")


def test_the_plan_of_a_users_images_trains_what_their_chapter_needs(pets):
    plan = study_plan.make_plan("quick", image_folder.import_folder(pets), seeds=1)
    [configs] = study_plan.pending(plan, [USER_IMAGES]).values()
    base = [plan.config(), plan.config(model="complex")]
    assert [config for config in configs if isinstance(config, TrainingConfig)] == base


@pytest.mark.slow
def test_a_report_on_images_of_the_user(pets, tmp_path, store, start):
    output = tmp_path / "report"
    (pets / "eel").rename(pets / "$e$l")  # no formula
    (pets / "cat").rename(pets / "_cat")  # and not left out of a legend
    arguments = ["--dataset", "pets", "--unseen", "_cat", "$e$l", "--image-size", "12"]
    arguments += ["--profile", "smoke", "--seeds", "1", "--output", str(output)]
    process = start(*arguments, cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "1 page, 10 figures, report.pdf" in out
    page = (output / "index.html").read_text(encoding="utf-8")
    assert re.search("On unseen classes \\(\\$e\\$l, _cat\\)", page)
    assert "data set pets" in page
    for words in (str(settings.ROOT), str(tmp_path)):
        assert words not in page
    assert page.count("$e$l") > 10
    assert not re.search("Glyph|Warning", page)
    shown = BeautifulSoup(page, "html.parser").main
    for drawing in shown("svg"):
        drawing.decompose()
    for words in ("2019", "Fashion-MNIST", "T-shirt", "the study"):
        assert words not in shown.get_text()
    for link in re.findall(r'href="(results/[^"]+)"', page):
        assert (output / link).exists()
    assert (output / "report.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--only", "03"], "--only chooses from the series"),
        (["--scheduler", "tcp://host:8786"], "no copy of your own images"),
        (["--unseen", "elk", "bee"], "no class elk"),
    ],
)
def test_options_that_do_not_go_together_are_refused(pets, start, more, message):
    process = start("--dataset", str(pets), *more)
    _, err = process.communicate()
    assert process.returncode == 2
    assert message in err


def test_grey_images_on_white_are_inverted(tmp_path, store):
    rng = np.random.default_rng(0)
    images = {"white": [], "black": []}
    for name, background in (("white", 255), ("black", 0)):
        for letter in "abcd":
            for i in range(20):
                image = np.full((28, 28), background, np.uint8)
                image[8:20, 8:20] = rng.integers(60, 190, (12, 12))
                path = tmp_path / name / letter / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
                images[name].append(image)
    on_white, on_black = (
        image_folder.load(image_folder.import_folder(tmp_path / name)) for name in images
    )
    assert (on_white.is_inverted, on_black.is_inverted) == (True, False)
    read = {image.tobytes() for image in on_white.images}
    assert read == {(255 - image).tobytes() for image in images["white"]}
    assert {image.tobytes() for image in on_black.images} == {i.tobytes() for i in images["black"]}
