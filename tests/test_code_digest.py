import ast
import inspect
from dataclasses import replace

import pytest

from siamese_utils.training import cache, code_digest, losses
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.transfer import TransferConfig

FILES = {
    "work.py": '''
"""A module."""

from functools import cache

import numpy as np

from siamese_utils.room import helpers
from siamese_utils.room.helpers import double as twice
from siamese_utils.room.shapes import Square
from siamese_utils.training import cache as store
from siamese_utils.settings import ROOT

STEP = 2
SIZES: tuple[int, ...] = (1, 2)
LOW, HIGH = 0, 1
UNUSED = 5


def begin(x: int) -> int:
    """Do the work."""
    from siamese_utils.room import late

    store.save(ROOT)
    return _inner(x) + late.later(x) + Square(x).area() + np.sum(SIZES) + LOW


def _inner(x):
    # why
    return helpers.triple(twice(x)) * STEP


@cache
def another(x):
    return x + UNUSED
''',
    "room/__init__.py": "",
    "room/helpers.py": """
FACTOR = 3


def double(x):
    return 2 * x


def triple(x):
    return FACTOR * x


def idle(x):
    return -x
""",
    "room/late.py": """
def later(x):
    return again(x) if x else 0


def again(x):
    return later(x - 1)
""",
    "room/shapes.py": '''
class Shape:
    """A shape."""

    sides = 4

    def area(self) -> float:
        """Return its area."""
        return 0.0


class Square(Shape):
    """A square."""

    def __init__(self, side: float) -> None:
        """Keep its side."""
        self.side = side

    def area(self) -> float:
        """Return its area."""
        return self.side**2
''',
    "training/__init__.py": "",
    "training/cache.py": "def save(x):\n    return x\n",
    "settings.py": "ROOT = 1\n",
}


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """A function that changes files of a small package, and returns the digest of what does the work."""
    package = tmp_path / "siamese_utils"
    monkeypatch.setattr(code_digest, "PACKAGE", package)
    cached = (
        code_digest.code_digest,
        code_digest._parse,
        code_digest._definitions,
        code_digest._imports,
    )

    def forget():
        for function in cached:
            function.cache_clear()

    def digest_it(*changes, name="work.begin"):
        files = dict(FILES)
        for path, old, new in changes:
            assert old in files[path], old
            files[path] = files[path].replace(old, new)
        for path, text in files.items():
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            (package / path).write_text(text, encoding="utf-8")
        forget()
        return code_digest.code_digest(name)

    yield digest_it
    forget()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("work.py", "# why", "# because"),
        ("work.py", '"""Do the work."""', '"""Do it, and say so."""'),
        ("work.py", '    """Do the work."""\n', ""),
        ("work.py", '"""A module."""', '"""The module."""'),
        ("work.py", "begin(x: int) -> int", "begin(x: float)"),
        ("work.py", "SIZES: tuple[int, ...] =", "SIZES: list[int] ="),
        ("work.py", "x):\n    # why\n    return", "x):\n\n    return"),
        (
            "work.py",
            "return helpers.triple(twice(x)) * STEP",
            "return (\n        helpers.triple( twice(x) )\n        * STEP)",
        ),
        ("work.py", "UNUSED = 5", "UNUSED = 6"),
        ("work.py", "return x + UNUSED", "return x - UNUSED"),
        ("work.py", "STEP = 2\n", "STEP = 2\n\n\ndef added(x):\n    return STEP\n\n"),
        ("room/helpers.py", "return -x", "return +x"),
        ("room/helpers.py", "def idle(x):\n    return -x\n", ""),
        ("room/shapes.py", '"""A square."""', '"""Four equal sides."""'),
        ("room/shapes.py", "side: float", "side: int"),
        # plumbing: where things are, and how they are kept
        ("training/cache.py", "return x", "return 2 * x"),
        ("settings.py", "ROOT = 1", "ROOT = 2"),
    ],
)
def test_changes_without_effect_keep_the_digest(digest, path, old, new):
    assert digest((path, old, new)) == digest()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("work.py", "STEP = 2", "STEP = 3"),
        ("work.py", "(1, 2)", "(1, 3)"),
        ("work.py", "LOW, HIGH = 0, 1", "LOW, HIGH = 1, 1"),
        ("work.py", "later(x) +", "later(x) -"),
        ("work.py", "begin(x: int)", "begin(x: int = 1)"),
        ("work.py", "def _inner(x):", "@cache\ndef _inner(x):"),
        ("work.py", "* STEP", "+ STEP"),  # a function called in the same module
        ("room/helpers.py", "return 2 * x", "return x + x"),  # imported under another name
        ("room/helpers.py", "return FACTOR", "return -FACTOR"),  # as module.name
        ("room/helpers.py", "FACTOR = 3", "FACTOR = 4"),  # a constant of theirs
        ("room/late.py", "else 0", "else 1"),  # imported inside a function
        ("room/late.py", "x - 1", "x - 2"),  # called by what that one calls
        ("room/shapes.py", "self.side**2", "self.side**3"),  # a class
        ("room/shapes.py", "sides = 4", "sides = 5"),  # and what it inherits from
        ("room/shapes.py", "class Square(Shape)", "class Square"),
    ],
)
def test_changes_with_an_effect_change_the_digest(digest, path, old, new):
    assert digest((path, old, new)) != digest()


def test_each_definition_has_a_digest_of_its_own(digest):
    assert digest(name="work.begin") != digest(name="work.another")
    assert digest(name="work.another") != digest(
        ("work.py", "UNUSED = 5", "UNUSED = 6"), name="work.another"
    )
    assert len(digest()) == 64


def test_the_digest_of_several_definitions_does_not_depend_on_their_order(digest):
    digest()
    both = code_digest.code_digest("work.begin", "work.another")
    assert both == code_digest.code_digest("work.another", "work.begin")
    assert both not in (
        code_digest.code_digest("work.begin"),
        code_digest.code_digest("work.another"),
    )


def test_the_same_code_has_the_same_digest(digest):
    assert digest() == digest()


@pytest.mark.parametrize(
    "name", ["work.missing", "room.helpers.tripel", "work.np", "work.Square", "settings.ROOT"]
)
def test_an_unknown_name_is_refused(digest, name):
    with pytest.raises(ValueError, match=f"there is no {name}"):
        digest(name=name)


def code_of_key(config, monkeypatch):
    """Return the names of the definitions that the key of a config digests."""
    code = []
    monkeypatch.setattr(cache, "make_key", lambda parts, names: code.extend(names))
    config.resolve().key()
    return code


def test_the_key_of_a_training_run_digests_its_losses_and_no_plumbing(monkeypatch):
    config = TrainingConfig(dataset="digits")
    reached = reached_by(*code_of_key(config, monkeypatch))
    assert {
        "training.losses.contrastive_loss",
        "training.losses.PairLoss",
        "training.losses.EPSILON",
        "training.models.SiameseModel",
        "training.encoders.study_encoder",
        "training.pair_training.fit",
        "training.trainer.seed_everything",
        "training.tasks.build_optimizer",
        "training.tasks.STUDY_THRESHOLD",
        "data.pairs.sample_pair_batches",
        "data.pairs._sample_other_class",
    } <= reached
    # nor the code of another task or encoder alone
    assert not reached & {
        "training.losses.triplet_loss",
        "training.models.Classifier",
        "training.tasks.triplet",
        "training.tasks.TASKS",
        "training.encoders.small_encoder",
        "training.encoders.ENCODERS",
    }
    assert not [name for name in reached if name.startswith(("training.cache", "settings"))]
    of_triplet = reached_by(*code_of_key(replace(config, task="triplet"), monkeypatch))
    assert "training.losses.triplet_loss" in of_triplet
    assert "training.losses.euclidean_distance" in of_triplet


def test_the_key_of_a_transfer_digests_its_textures_and_its_encoder(monkeypatch):
    reached = reached_by(*code_of_key(TransferConfig(start="scratch"), monkeypatch))
    assert {
        "data.textures.sample_texture_pairs",
        "data.textures.follow_paths",
        "data.textures.COLOUR_MAPS",
        "data.textures.RECTANGLE_GREY",
        "data.pairs.distances",
        "training.encoders.digit_encoder",
        "training.transfer.load_digits",
        "training.transfer.TEST_PAIRS",
    } <= reached
    # nor the article's system as it is printed, or the networks of the first study
    assert not [name for name in reached if name.startswith("training.one_shot_article")]
    assert not reached & {"training.encoders.study_encoder", "training.models.SiameseModel"}


def test_the_code_of_the_article_as_printed_is_its_own_but_for_the_textures():
    reached = reached_by("training.one_shot_article.run")
    assert {f"training.one_shot_article.{name}" for name in ("create_pairs", "EPOCHS")} <= reached
    assert {name.rpartition(".")[0] for name in reached} == {
        "training.one_shot_article",
        "data.textures",
    }


def reached_by(*names):
    """Return what definitions reach, by the same steps but one at a time."""
    reached, waiting = set(), list(names)
    while waiting:
        module, _, own = (name := waiting.pop()).rpartition(".")
        node = code_digest._definitions(module).get(own)
        if node is not None and name not in reached:
            reached.add(name)
            waiting += code_digest._mentions(module, node)
    return reached


def test_source_of_a_definition_equals_that_of_inspect():
    for name in ("contrastive_loss", "ContrastiveLoss"):
        source = code_digest.source_of(f"training.losses.{name}")
        assert source == inspect.getsource(getattr(losses, name)).rstrip()
        ast.parse(source)
