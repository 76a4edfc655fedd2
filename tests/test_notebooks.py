"""The notebooks' form, and the one-way imports of the package. Their content is run by test_run_all."""

import ast
import re
import subprocess
import sys

import nbformat
import papermill
import pytest

from siamese_utils import series, settings

CHAPTERS = series.chapters()
PACKAGE = settings.ROOT / "siamese_utils"
# A module may import those before it in the order in which data flows, and no other.
ORDER = [
    *["settings", "series", "progress", "data", "pairs", "losses", "models", "runs", "training"],
    *["evaluation", "verification", "allpairs", "baselines", "geometry", "panel"],
    *[
        "explorer",
        "textures",
        "transfer",
        "fewshot",
        "verifier",
        "tables",
        "plots",
        "show",
        "report",
    ],
]
WITH_TENSORFLOW = {"losses", "models", "training", "panel", "explorer", "transfer", "verifier"}


@pytest.fixture(params=CHAPTERS, ids=lambda chapter: chapter.name)
def notebook(request):
    return nbformat.read(request.param.path, as_version=4)


def test_the_series_is_complete():
    assert [chapter.name for chapter in CHAPTERS] == [
        *["00-summary", "01-data-splits", "02-loss-tests", "03-base-model", "04-complex-model"],
        *["05-margin-study", "06-optimizer-comparison", "07-one-shot-transfer"],
        *["08-plain-baselines", "09-split-lottery", "10-embeddings", "11-how-it-was-made"],
    ]


def test_notebooks_are_valid_sources_without_outputs(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_a_notebook_asks_a_question_and_answers_it(notebook):
    first = notebook.cells[0].source.splitlines()
    assert first[0].startswith("# ")
    assert re.fullmatch(r"\*[^*]+\?\*", first[2])
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", ())]
    assert tags.count("answer") == 1
    assert any(cell.source.startswith("## Limits") for cell in notebook.cells)


def test_parameters_are_flat_literals_and_known(notebook):
    [cell] = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    values = {}
    for statement in ast.parse(cell.source).body:
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert {"profile": "full", "dataset": "auto", "seeds": 3}.items() <= values.items()


def test_papermill_finds_the_parameters():
    for chapter in CHAPTERS:
        assert {"profile", "dataset", "seeds"} <= set(papermill.inspect_notebook(str(chapter.path)))


def test_cells_are_short(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 20, cell.source


def imports_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "siamese_utils":
            yield from (f"siamese_utils.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_one_way(module):
    place = PACKAGE / module
    files = [*place.glob("*.py")] if place.is_dir() else [PACKAGE / f"{module}.py"]
    for name in (name for path in files for name in imports_of(path)):
        root, _, rest = name.partition(".")
        if root == "siamese_utils" and path_differs(rest, module):
            assert ORDER.index(rest.split(".")[0]) < ORDER.index(module), name
        if root in ("tensorflow", "keras"):
            assert module in WITH_TENSORFLOW, name


def path_differs(rest, module):
    return rest.split(".")[0] != module


def test_every_module_has_its_place():
    found = {p.stem if p.is_file() else p.name for p in PACKAGE.iterdir() if p.name[0] not in "_."}
    assert found == set(ORDER)


def test_tensorflow_is_loaded_by_those_who_need_it_alone():
    light = [m for m in ORDER if m not in WITH_TENSORFLOW and m != "report"]
    program = f"from siamese_utils import {', '.join(light)}; import sys; print('tensorflow' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.split()[-1] == "False"
