import os

import numpy as np
import pytest
from PIL import Image

from siamese_utils.data import image_files
from siamese_utils.data.image_files import Reading


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
    assert found.skipped == {tmp_path / "dog" / "notes.txt": "not an image, or damaged"}
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
    files = image_files.read([wide, good, real], 9)
    reason = "32-bit pixels are not supported; convert the file to 8 or 16 bits"
    assert files.skipped == {wide: reason, real: reason}
    assert f"2 files skipped: {wide}: {reason}; {real}: {reason}" in files.summary()


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


def test_a_wide_image_is_padded_cropped_or_stretched(save):
    wide = np.full((8, 24), 30, np.uint8)
    wide[:, 2:8] = 200  # the object is at the left
    path = save("wide.png", wide)
    square = {
        fit: image_files.read([path], 24, reading=Reading(fit)).images[0, ..., 0]
        for fit in image_files.FITS
    }
    assert np.array_equal(square["pad"][8:16], wide)
    assert (square["pad"][:8] == 30).all()  # the margins have the colour of the border
    assert (square["pad"][16:] == 30).all()
    assert (square["crop"] == 30).mean() > 0.9  # the object is lost
    assert np.array_equal(square["stretch"], np.repeat(wide, 3, axis=0))
    assert np.array_equal(image_files.read([path], 24).images[0, ..., 0], square["pad"])


def test_an_unknown_reading_is_refused():
    for how in ({"fit": "cut"}, {"background": "pink"}):
        with pytest.raises(ValueError, match="cannot be read by"):
            Reading(**how)


def test_turned_as_exif_says(save):
    image = np.zeros((8, 8), np.uint8)
    image[0] = 255  # a line at the top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = image_files.read([save("a.png", image, exif=exif)], 8).images[0, ..., 0]
    assert (turned[:, -1] == 255).all()
    assert turned[:, :-1].max() == 0


@pytest.mark.parametrize(("level", "background"), [(255, "black"), (0, "white"), (90, "white")])
def test_transparent_pixels_contrast_with_the_drawing(save, level, background):
    image = np.full((8, 8, 4), level, np.uint8)
    image[:4, :, 3] = 0
    image[4:, :, 3] = 255
    files = image_files.read([save("a.png", image)], 8)
    found = files.images[0, ..., 0]
    assert (found[:4] == image_files.BACKGROUNDS[background]).all()
    assert (found[4:] == level).all()
    assert files.reading.background == background
    assert f"transparent pixels in {background}" in files.summary()


def test_the_background_is_one_for_all_images(save):
    dark, bright = np.zeros((8, 8, 4), np.uint8), np.full((8, 8, 4), 160, np.uint8)
    for image in (dark, bright):
        image[:4, :, 3] = 0
        image[4:, :, 3] = 255
    paths = [save(f"{i}.png", image) for i, image in enumerate((dark, dark, bright))]
    assert (image_files.read(paths, 8).images[:, :4] == 255).all()
    # an image that is read alone is read like those of its model
    alone = image_files.read(paths[2:], 8, reading=Reading(background="white"))
    assert (alone.images[:, :4] == 255).all()
    opaque = image_files.read([save("opaque.png", noise(8, 8))], 8)
    assert "transparent" not in opaque.summary()


def test_many_plain_images_or_copies_are_warned_of(save, tmp_path):
    for i in range(8):
        save(f"plain/{i}.png", noise(9, 9, seed=i) if i > 1 else np.full((9, 9), i, np.uint8))
        save(f"copies/{i}.png", noise(9, 9, seed=max(i, 2)))
        save(f"good/{i}.png", noise(9, 9, seed=i))
    copies, plain = image_files.read_classes(tmp_path, 9).warnings(tmp_path)
    assert f"25% of the images of {tmp_path / 'plain'} have a single colour after" in plain
    assert f"25% of the images of {tmp_path / 'copies'} are copies of others after" in copies


def test_sixteen_bits_become_eight(save):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    found = image_files.read([save("a.png", image)], 8).images[0, ..., 0]
    assert np.array_equal(found, image // 257)


def test_twelve_bits_in_sixteen_are_warned_of_and_stretched(save, tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (5, 8, 8), dtype=np.uint16)
    values[0, 0, 0] = 4095
    for i, image in enumerate(values):
        save(f"scans/{i}.png", image)
    dark = image_files.read_classes(tmp_path, 8)
    assert dark.images.max() == 15
    [sentence] = [s for s in dark.warnings(tmp_path) if "bits" in s]
    assert "use 12 bits only" in sentence
    assert "--bits 12" in sentence
    stretched = image_files.read_classes(tmp_path, 8, reading=Reading(bits=12))
    assert np.array_equal(stretched.images[..., 0], values.astype(int) * 255 // 4095)
    assert not stretched.warnings(tmp_path)
    with pytest.raises(ValueError, match=r"--bits must be 8 to 16, not 20"):
        Reading(bits=20)


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
    damaged = "not an image, or damaged"
    assert found.skipped == {
        **dict.fromkeys((cut, empty, text), damaged),
        bomb: "too many pixels",
        gone: "no regular file",
    }
    with pytest.raises(
        ValueError, match=r"cut.png: not an image, or damaged; nor can any of 1 other"
    ):
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
