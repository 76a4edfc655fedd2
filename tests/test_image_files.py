import os

import numpy as np
import pytest
from PIL import Image

from siamese_utils.data import image_files


@pytest.fixture
def save(tmp_path):
    """A function that writes an image, (h, w) or (h, w, channels) uint8, and returns its path."""

    def save_it(name, image, **how):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)).save(path, **how)
        return path

    return save_it


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_a_subfolder_is_a_class(save, tmp_path):
    for name in ("cat/b.png", "cat/deep/a.PNG", ".cache/d.png", "dog/.old/f.png", "e.png"):
        save(name, noise(9, 9), format="PNG")
    save("dog/c.bmp", noise(9, 9))
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "dog" / ".hidden.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    found = image_files.read_classes(tmp_path, 9)
    assert [str(path.relative_to(tmp_path)) for path in found.paths] == [
        "cat/b.png",
        "cat/deep/a.PNG",
        "dog/c.bmp",
    ]
    assert found.labels(tmp_path).tolist() == ["cat", "cat", "dog"]
    assert np.array_equal(found.images[..., 0], np.stack([noise(9, 9)] * 3))  # to the pixel
    assert found.unreadable == [tmp_path / "dog" / "notes.txt"]
    assert len(image_files.list_files(tmp_path)) == 5


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".gif", ".bmp", ".tif", ".avif"])
def test_every_format(save, ending):
    path = save(f"a{ending}", np.full((40, 40), 99, np.uint8))
    found = image_files.read([path], 10)
    assert found.images.shape == (1, 10, 10, 1)
    assert np.abs(found.images.astype(int) - 99).max() <= 2  # some formats lose a little


def test_values_that_nobody_knows_the_white_of_are_left_out(save):
    good = save("good.png", noise(9, 9))
    wide, real = (
        save(f"{kind}.tif", np.arange(81).reshape(9, 9).astype(kind)) for kind in ("i4", "f4")
    )
    assert image_files.read([wide, good, real], 9).unreadable == [wide, real]


def test_odd_exif_is_no_reason_to_end(save):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x"
    path = save("a.jpg", noise(9, 9), exif=exif)
    content = path.read_bytes()
    order = content.index(b"\x01\x0e") if b"MM" in content[:40] else content.index(b"\x0e\x01")
    changed = content[order : order + 2].replace(b"\x0e", b"\x01")  # a text as a tag of numbers
    path.write_bytes(content[:order] + changed + content[order + 2 :])
    good = save("good.png", noise(9, 9))
    assert good in image_files.read([path, good], 9).paths


def test_grey_unless_an_image_has_a_colour(save):
    grey = save("grey.png", np.repeat(noise(9, 9, 1), 3, axis=2))  # in three channels all the same
    colours = save("colours.png", noise(9, 9, 3))
    assert image_files.read([grey], 9).images.shape == (1, 9, 9, 1)
    both = image_files.read([grey, colours], 9).images
    assert both.shape == (2, 9, 9, 3)
    assert np.array_equal(both[1], noise(9, 9, 3))
    made_grey = image_files.read([colours], 9, channels=1).images[0, ..., 0]
    by_pillow = np.asarray(Image.fromarray(noise(9, 9, 3)).convert("L"))
    assert np.abs(made_grey.astype(int) - by_pillow).max() <= 1
    assert image_files.read([grey], 9, channels=3).images.shape == (1, 9, 9, 3)


def test_the_middle_of_what_is_no_square(save):
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 200
    assert (image_files.read([save("wide.png", wide)], 8).images == 200).all()


def test_turned_as_exif_says(save):
    image = np.zeros((8, 8), np.uint8)
    image[0] = 255  # a line at the top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = image_files.read([save("a.png", image, exif=exif)], 8).images[0, ..., 0]
    assert (turned[:, -1] == 255).all()
    assert turned[:, :-1].max() == 0


def test_what_is_transparent_is_black(save):
    image = np.full((8, 8, 4), 255, np.uint8)
    image[:4, :, 3] = 0
    found = image_files.read([save("a.png", image)], 8).images[0, ..., 0]
    assert found[:4].max() == 0
    assert found[4:].min() == 255


def test_sixteen_bits_become_eight(save):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    found = image_files.read([save("a.png", image)], 8).images[0, ..., 0]
    assert np.array_equal(found, image // 257)


@pytest.mark.fault(
    "images that are cut, empty, of another kind, or bombs", "they are listed and left out"
)
def test_what_cannot_be_read_is_left_out(save, tmp_path, monkeypatch):
    good = save("good.png", noise(20, 20))
    cut, empty, text = (tmp_path / f"{name}.png" for name in ("cut", "empty", "text"))
    cut.write_bytes(good.read_bytes()[:200])
    empty.touch()
    text.write_text("no image")
    bomb = save("bomb.png", np.zeros((100, 100), np.uint8))
    gone = tmp_path / "gone.png"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    found = image_files.read([cut, good, empty, text, bomb, gone], 20)
    assert found.paths == [good]
    assert found.unreadable == [cut, empty, text, bomb, gone]
    with pytest.raises(ValueError, match=r"cut.png cannot be read as an image, nor any of 1 other"):
        image_files.read([cut, empty], 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.fault("a pipe among the images", "it is not waited for")
def test_a_pipe_is_no_image(save, tmp_path):
    save("cat/a.png", noise(9, 9))
    os.mkfifo(tmp_path / "cat" / "b.png")
    assert len(image_files.read_classes(tmp_path, 9).paths) == 1


def test_a_folder_without_images_is_refused(tmp_path):
    for read in (image_files.read_classes, lambda at, _: image_files.list_files(at)):
        with pytest.raises(ValueError, match="images"):
            read(tmp_path, 9)
        with pytest.raises(ValueError, match="is not a folder"):
            read(tmp_path / "nowhere", 9)


def test_links_are_followed_once(save, tmp_path):
    save("real/cat/a.png", noise(9, 9))
    save("real/cat/b.png", noise(9, 9, seed=1))
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "cat").symlink_to(tmp_path / "real" / "cat")
    (tmp_path / "real" / "cat" / "loop").symlink_to(tmp_path / "pets")
    found = image_files.read_classes(tmp_path / "pets", 9)
    assert [str(path.relative_to(tmp_path / "pets")) for path in found.paths] == [
        "cat/a.png",
        "cat/b.png",
    ]


@pytest.mark.fault("a subfolder of images that may not be read", "one line, exit 2")
def test_a_subfolder_that_cannot_be_read_is_not_passed_over(save, tmp_path, monkeypatch):
    save("cat/a.png", noise(9, 9))
    save("dog/a.png", noise(9, 9))
    real = os.scandir

    def refuse(path):  # root may read all
        if os.fspath(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="dog"):
        image_files.list_files(tmp_path)
