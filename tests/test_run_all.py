"""The whole run as a reader starts it, on the digits that need no network."""

import re
import signal
import time

import nbformat
import pandas as pd
import pytest
from nbformat import v4

import run_all
from siamese_utils import evaluation, runs, series, settings, tables
from siamese_utils.report import publish

SEEDS = 2  # as in conftest.QUICK
# Base and complex, and each of their two brakes alone; four more margins, one of them for the base
# model; four optimizers, RMSprop being the base model half-way; a classifier.
# And, half-way, the base model by triplets.
PER_SEED = (1 + 1 + 2) + (3 + 1) + 4 + 1 + 1
# six other choices of classes, and three seeds of the study's own, two of them done half-way
LOTTERY = 6 + 1
# Study B, twice: pretraining; from 10 and 50 pairs, with and without it; from 50 by triplets and for
# longer too.
STUDY_B = 2 * (1 + 2 * 2 + 2 + 2)
TRAININGS = PER_SEED * SEEDS + LOTTERY + STUDY_B
HALF_WAY = 2 * 2 * SEEDS  # base and complex are kept after one epoch and after two


def make_old_report(output):
    (publish.open_staging(output) / "index.html").write_text("the old report")
    publish.publish(output, {})


def test_a_run_says_what_it_does_and_what_it_found(whole_run):
    assert "10-embeddings" in whole_run.said
    assert len(re.findall("trained: ", whole_run.said)) == TRAININGS
    end = whole_run.said[whole_run.said.index("Done in") :]
    assert re.search(r"\d+ pages, \d+ figures, report.pdf, in ", end)
    assert "AUC on unseen classes: base model 0." in end
    assert "index.html" in end


def test_the_report_is_whole(report):
    pages = {path.name for path in report.glob("*.html")}
    names = [path.stem for path in settings.NOTEBOOKS.glob("*.ipynb")]
    assert pages == {"index.html", *(f"{name}.html" for name in names if name != series.SUMMARY)}
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert not [path for path in report.iterdir() if path.name.startswith(".")]


def test_pages_load_nothing_and_lead_to_pages_that_are_there(report):
    for page in report.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size < 1_500_000
        assert "<script src" not in text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
        assert not re.search(r"url\((?!data:|#)", text)
        assert "the figures of 2019 do not apply" in text
        assert str(settings.ROOT) not in text
        assert str(report) not in text
        content = text[text.index("</style>") :]
        assert "Traceback" not in content
        assert "WARNING" not in content
        for target in re.findall(r'href="([^"#:]+)"', text):
            assert (report / target).exists(), target
        for anchor in re.findall(r'href="#([^"]+)"', text):
            assert f'id="{anchor}"' in text


def test_no_figures_of_2019_stand_beside_digits(report):
    for page in report.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "0.5, in 2019" not in text
        assert ">2019" not in text


def test_every_figure_and_link_speaks(report):
    for page in report.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        drawings = re.findall(r'<svg class="drawing" role="img" aria-label="([^"]+)"', text)
        assert len(drawings) == text.count("<figcaption>")
        assert "<img" not in text
    assert 'href="05-margin-study.html"' in (report / "index.html").read_text(encoding="utf-8")


def test_accuracy_csv_holds_what_the_store_holds(report, whole_run, monkeypatch):
    table = pd.read_csv(report / "results" / "accuracy.csv")
    assert len(table) == (PER_SEED - 2) * SEEDS * 15  # all but the classifier and the triplets
    assert not table.duplicated(tables.ACCURACY_COLUMNS[:7]).any()
    assert table["accuracy"].between(0, 100).all()
    assert table["seed"].nunique() == SEEDS
    monkeypatch.setenv(settings.STORE_VARIABLE, str(whole_run.store))
    stored = [run for path in whole_run.store.iterdir() if (run := runs.load(path.stem))]
    assert len(stored) == TRAININGS + HALF_WAY
    stored = [run for run in stored if "model" in run.record["experiment"]]  # of Study A
    wanted = {"epochs": 3, "objective": "contrastive", "seen": None}.items()
    stored = [run for run in stored if wanted <= run.record["experiment"].items()]
    experiment = stored[0].record["experiment"]
    key = {name: experiment[name] for name in tables.KEY_COLUMNS}
    [row] = tables.select(table, **key, pair_set="unseen", threshold_rule="fixed 0.5").to_dict(
        "records"
    )
    distance, different = tables.judged(stored[0], "unseen")
    assert row["accuracy"] == pytest.approx(100 * ((distance > 0.5) == different).mean())
    assert row["auc"] == pytest.approx(evaluation.roc_auc(distance, different))


def test_the_networks_have_learned(report):
    table = pd.read_csv(report / "results" / "accuracy.csv")
    longest = table[
        (table["epochs"] == table["epochs"].max()) & (table["threshold_rule"] == "tuned")
    ]
    mean = longest.groupby(["model", "margin", "pair_set"])["auc"].mean()
    assert mean["base", 1.0, "seen"] > 0.95
    assert mean["base", 1.0, "seen"] > mean["base", 1.0, "unseen"] > 0.6


def test_every_claim_is_judged(report):
    claims = pd.read_csv(report / "results" / "claims.csv", dtype=str)
    assert claims["claim"].tolist() == [
        *["1a", "1b", "1c", "2a", "2b", "3", "4", "5", "6a", "6b"],
        *["B1", "B2", "B3", "S1", "S2", "S3", "S4", "S5"],
    ]
    assert claims["why"].str.endswith(".").all()
    known = {evaluation.HOLDS, evaluation.FAILS, evaluation.UNDECIDED, evaluation.ARTEFACT}
    assert set(claims["verdict"]) <= known


def test_a_second_run_trains_nothing_and_makes_the_same_pages(whole_run, start):
    def pages():
        paths = [path for path in whole_run.report.rglob("*") if path.suffix != ".pdf"]
        return {path: path.read_bytes() for path in paths if path.is_file()}

    def stored():
        return {path.name: path.stat().st_mtime for path in whole_run.store.iterdir()}

    before = pages(), stored()
    process = start(*whole_run.arguments, **{settings.STORE_VARIABLE: str(whole_run.store)})
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "trained: " not in out
    assert (pages(), stored()) == before


def test_ctrl_c_keeps_the_store_and_the_old_report(tmp_path, monkeypatch, start):
    store, output = tmp_path / "store", tmp_path / "report"
    make_old_report(output)
    process = start(
        *["--profile", "quick", "--dataset", "digits", "--seeds", "9"],
        *["--output", str(output), "--no-pdf"],
        **{settings.STORE_VARIABLE: str(store)},
    )
    deadline = time.monotonic() + 120
    while not (store.is_dir() and list(store.glob("[!.]*.npz"))):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().count("\n") == 0
    assert sorted(path.name for path in output.iterdir()) == ["index.html", "results"]
    assert (output / "index.html").read_text() == "the old report"
    monkeypatch.setenv(settings.STORE_VARIABLE, str(store))
    assert all(runs.load_arrays(path.stem) for path in store.glob("[!.]*.npz"))


def test_a_part_never_replaces_a_whole_report(store, tmp_path, capsys):
    make_old_report(tmp_path)
    status = run_all.main(["--dataset", "digits", "--only", "3", "--output", str(tmp_path)])
    assert status == 2
    assert "holds a whole report" in capsys.readouterr().err


def test_a_part_never_replaces_a_whole_report_whose_move_was_interrupted(store, tmp_path, capsys):
    staging = publish.open_staging(tmp_path)
    (staging / "index.html").write_text("a whole report")
    (staging / "results" / publish.MANIFEST).write_text('{"files": ["index.html", "results"]}')
    staging.rename(tmp_path / publish.WHOLE)  # and here the plug was pulled
    status = run_all.main(["--dataset", "digits", "--only", "3", "--output", str(tmp_path)])
    assert status == 2
    assert "holds a whole report" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "a whole report"


def test_a_second_run_into_one_folder_is_refused(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run_all.build, "build", lambda *_: pytest.fail("work was begun"))
    with publish.alone_in(tmp_path):
        status = run_all.main(["--dataset", "digits", "--output", str(tmp_path)])
    assert status == 2
    assert "another run writes to" in capsys.readouterr().err
    with publish.alone_in(tmp_path):
        pass  # it is free again
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sedes", "3"], "--sedes"),
        (["--profile", "fast"], "fast"),
        (["--dataset", "mnist"], "mnist"),
        (["--only", "03", "42"], "no notebook 42"),
        (["--only"], "--only"),
        (["--only", "00"], "reads what all others find"),
        (["--only", "03", "11"], "reads what all others find"),
        (["--seeds", "0"], "1 or more"),
        (["--seeds", "many"], "many"),
        (["--output", f"{__file__}/below"], "below"),
        (["--prof", "quick"], "--prof"),
    ],
)
def test_a_mistake_ends_with_one_line_and_exit_2(arguments, message, store, capsys, monkeypatch):
    monkeypatch.setattr(run_all.build, "build", lambda *_: pytest.fail("work was begun"))
    try:
        status = run_all.main(
            [*arguments, *(["--dataset", "digits"] if "mnist" not in arguments else [])]
        )
    except SystemExit as stop:  # argparse's own way
        status = stop.code
    [line] = capsys.readouterr().err.splitlines()
    assert status == 2
    assert message in line


@pytest.fixture
def make_notebook(monkeypatch):
    """Return a function that makes a series of one notebook, 01-a, in a folder."""

    def make(folder, code):
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        parameters = v4.new_code_cell('profile = "full"\ndataset = "auto"\nseeds = 3')
        parameters.metadata["tags"] = ["parameters"]
        cells = [v4.new_markdown_cell("# T\n\n*Q?*"), parameters, v4.new_code_cell(code)]
        folder.mkdir(exist_ok=True)
        notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
        nbformat.write(notebook, folder / "01-a.ipynb")
        monkeypatch.setattr(settings, "NOTEBOOKS", folder)

    return make


def test_folders_may_be_relative_and_hold_braces(tmp_path, monkeypatch, make_notebook):
    told = "from siamese_utils import settings; (settings.results_dir() / 'told.txt').write_text("
    make_notebook(tmp_path / "my {notebooks}", f"{told}str(settings.store_dir()))")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(settings.STORE_VARIABLE, "store")
    status = run_all.main(["--dataset", "digits", "--output", "my {report}", "--no-pdf"])
    assert status == 0
    found = (tmp_path / "my {report}" / "results" / "told.txt").read_text()
    assert found == str(tmp_path / "store")


def test_a_failing_notebook_ends_with_exit_1_and_says_where(tmp_path, store, capsys, make_notebook):
    make_notebook(tmp_path, "assert 1 == 2")
    make_old_report(tmp_path / "report")
    status = run_all.main(["--dataset", "digits", "--output", str(tmp_path / "report")])
    assert status == 1
    said = capsys.readouterr().err
    assert "01-a.ipynb, cell 3: AssertionError" in said
    assert (tmp_path / "report" / "index.html").read_text() == "the old report"
