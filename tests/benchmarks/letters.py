"""What helps on new classes of a third data set: capital letters, rendered from installed fonts.

    python tests/benchmarks/letters.py

It writes reports/benchmark/letters.csv, a row for each class split, method and number of labelled
images, which the page on new classes shows. Letters are white on black, as the clothes are. The fonts
differ between machines, so the numbers do too; on Debian, the packages of fonts-* provide them.
"""

import string
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from siamese_utils import atomic_io, settings
from siamese_utils.data import image_folder
from siamese_utils.evaluation import new_classes
from siamese_utils.training import study_plan

PATH = settings.BENCHMARK / "letters.csv"
FONTS = Path("/usr/share/fonts")
NUM_FONTS = 80  # images of each letter
NOT_LETTERS = ("emoji", "symbol", "ding", "math", "d050", "barcode")  # in names of fonts
SIDE, SIZE = 64, 44  # pixels of an image and of a letter
METHODS = (
    new_classes.PIXELS,
    new_classes.FIXED_FEATURES,
    new_classes.BASE_MODEL,
    new_classes.REFITTED,
    new_classes.RETRAINED,
)


def main() -> None:
    """Render the letters, evaluate the methods, and write the results."""
    fonts = sorted(path for path in FONTS.rglob("*") if path.suffix.lower() in (".ttf", ".otf"))
    fonts = [f for f in fonts if not any(word in f.name.lower() for word in NOT_LETTERS)]
    if len(fonts) < NUM_FONTS:
        sys.exit(f"{FONTS} has {len(fonts)} fonts of letters; {NUM_FONTS} are needed")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "letters"
        render(np.random.default_rng(0).permutation(fonts)[:NUM_FONTS], folder)
        plan = study_plan.make_plan("full", image_folder.import_folder(folder))
    table = new_classes.outcomes(plan.user_class_splits(), METHODS)
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    atomic_io.write_atomically(PATH, text.encode())
    print(new_classes.auc_table(new_classes.summarise(table)).map(format).to_string())


def render(fonts, folder):
    """Save an image of each capital letter in each font."""
    for number, path in enumerate(fonts):
        font = ImageFont.truetype(str(path), SIZE)
        for letter in string.ascii_uppercase:
            image = Image.new("L", (SIDE, SIDE), 0)
            middle = (SIDE // 2, SIDE // 2)
            ImageDraw.Draw(image).text(middle, letter, font=font, anchor="mm", fill=255)
            target = folder / letter / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target)


if __name__ == "__main__":
    main()
