"""The notebooks' form, and the one-way imports of the package. Their content is run by test_run_all."""

import ast
import re
import subprocess
import sys

import nbformat
import papermill
import pytest

from siamese_utils import settings
from siamese_utils.publishing import chapters
from siamese_utils.training.code_digest import source_of

CHAPTERS = chapters.list_chapters()
OWN = chapters.user_images_chapter()  # which is no part of the series
PACKAGE = settings.ROOT / "siamese_utils"
# A package or module may import from those above it, and from no other.
LAYERS = [
    "atomic_io",
    "checksummed_npz",
    "settings",
    "cli_utils",
    "data",
    "training",
    "evaluation",
    "reporting",
    "publishing",
    "verifier",
    "model_selection",
    "cli",
]
WITH_TENSORFLOW = {
    "training/losses.py",
    "training/models.py",
    "training/one_shot_article.py",
    "training/study_2019.py",
}  # at import; others inside functions
# the pages on which one computes
SHOW_A_NETWORK = {"02-loss-tests", "03-base-model", "07-one-shot-transfer"}


@pytest.fixture(params=[*CHAPTERS, OWN], ids=lambda chapter: chapter.name)
def notebook(request):
    return nbformat.read(request.param.path, as_version=4)


def test_the_series_is_complete():
    assert [chapter.name for chapter in CHAPTERS] == [
        *["00-summary", "01-data-splits", "02-loss-tests", "03-base-model", "04-complex-model"],
        *["05-margin-study", "06-optimizer-comparison", "07-one-shot-transfer"],
        *["08-baselines", "09-new-classes", "10-embeddings", "11-probability"],
        "12-how-it-was-made",
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


@pytest.mark.parametrize("chapter", CHAPTERS[1:-1], ids=lambda chapter: chapter.name)
def test_a_notebook_ends_with_exercises_whose_answers_are_hidden(chapter):
    cells = nbformat.read(chapter.path, as_version=4).cells
    last = max(i for i, cell in enumerate(cells) if cell.source.startswith("## "))
    assert cells[last].source.startswith("## Exercises\n\n**1.** ")
    questions, answers = cells[last::2], cells[last + 1 :: 2]
    assert len(questions) == len(answers) >= 2
    for number, (question, answer) in enumerate(zip(questions, answers, strict=True), 1):
        assert f"**{number}.** " in question.source
        assert answer.metadata.tags == ["solution"]
        assert answer.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
        assert "show." in answer.source


def test_parameters_are_flat_literals_and_known(notebook):
    [cell] = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    values = {}
    for statement in ast.parse(cell.source).body:
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert {"profile": "full", "dataset": "auto", "seeds": 3}.items() <= values.items()


def test_papermill_finds_the_parameters():
    for chapter in CHAPTERS:
        assert {"profile", "dataset", "seeds"} <= set(papermill.inspect_notebook(str(chapter.path)))


def code_of(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def modules():
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imports_of(path, everywhere=True):
    """The modules that a file imports: anywhere in it, or when it is loaded itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not everywhere:  # neither inside functions nor for type checkers alone
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def layer_of(name):
    return name.removesuffix(".py").replace("/", ".").split(".")[0]


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module):
    own = layer_of(module)
    for name in imports_of(PACKAGE / module):
        root, _, rest = name.partition(".")
        if root == "siamese_utils" and layer_of(rest) != own:
            assert LAYERS.index(layer_of(rest)) < LAYERS.index(own), name
    for name in imports_of(PACKAGE / module, everywhere=False):
        if name.split(".")[0] in ("tensorflow", "keras"):
            assert module in WITH_TENSORFLOW, name


def test_no_imports_are_circular():
    """Within a package, modules import each other in one direction."""
    graph = {
        module.removesuffix(".py").replace("/", "."): {
            name.removeprefix("siamese_utils.")
            for name in imports_of(PACKAGE / module, everywhere=False)
            if name.startswith("siamese_utils.")
        }
        for module in modules()
    }
    graph = {
        m: {n for name in of for n in (name, name.rpartition(".")[0]) if n in graph}
        for m, of in graph.items()
    }
    while graph:
        free = [module for module, needs in graph.items() if not needs & graph.keys() - {module}]
        assert free, f"these import each other: {sorted(graph)}"
        graph = {module: needs for module, needs in graph.items() if module not in free}


def test_every_module_has_its_layer():
    assert {layer_of(module) for module in modules()} == {*LAYERS, "__init__"}


def test_tensorflow_is_loaded_by_those_who_need_it_alone():
    light = [m.removesuffix(".py").replace("/", ".") for m in modules() if "__init__" not in m]
    light = [m for m in light if f"{m.replace('.', '/')}.py" not in WITH_TENSORFLOW]
    lines = [f"import siamese_utils.{module}" for module in light]
    program = "; ".join([*lines, "import sys", "print('tensorflow' in sys.modules)"])
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.split()[-1] == "False"


def test_notebooks_leave_tensorflow_to_those_that_show_a_network(request):
    for chapter in CHAPTERS:
        source = "\n".join(code_of(nbformat.read(chapter.path, as_version=4)))
        loads = re.search(r"import .*\b(keras|tensorflow|losses|models)\b", source)
        assert bool(loads) == (chapter.name in SHOW_A_NETWORK), chapter.name


def test_source_code_that_a_notebook_shows_exists(notebook):
    for source in code_of(notebook):
        for name in re.findall(r'show\.source\("([\w.]+)"\)', source):
            assert source_of(name).strip()
