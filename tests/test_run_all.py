"""The whole run as a reader starts it, on the digits that need no network."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import typst
from bs4 import BeautifulSoup
from sklearn.metrics import roc_auc_score

import run_all
from siamese_utils import settings
from siamese_utils.data.dataset import SETS
from siamese_utils.evaluation import pair_distances, verdicts
from siamese_utils.publishing import build, chapters, publish
from siamese_utils.reporting import claims, results
from siamese_utils.training import cache, machine, study_plan, trainer
from siamese_utils.training.pair_training import TrainingConfig

SEEDS = 2  # as in conftest.SMOKE
CHAPTERS = [chapter.name for chapter in chapters.list_chapters()]


def planned():
    """The configs of a smoke run on digits, and those that are milestones of longer runs.

    A run is a milestone if a longer one is in the same chapter or in an earlier one.
    """
    plan = study_plan.make_plan("smoke", "digits", SEEDS)
    configs, milestones = set(), set()
    for chapter in CHAPTERS:
        new = set(plan.configs(chapter)) - configs
        studied = {config for config in new if isinstance(config, TrainingConfig)}
        on_the_way = {
            replace(c, epochs=n) for c in studied for n in plan.milestones(c) if n < c.epochs
        }
        milestones |= on_the_way - configs
        configs |= new
    return configs, milestones


def test_a_run_says_what_it_does_and_what_it_found(whole_run):
    assert "10-embeddings" in whole_run.said
    configs, milestones = planned()
    assert len(re.findall("trained: ", whole_run.said)) == len(configs - milestones)
    assert f"{len(configs - milestones)} trainings to do" in whole_run.said
    end = whole_run.said[whole_run.said.index("Done in") :]
    assert re.search(r"\d+ pages, \d+ figures, report.pdf, in ", end)
    assert re.search(r"base model, AUC on unseen classes: 0\.\d+ ±", end)
    assert "index.html" in end


def test_the_report_is_whole(report):
    pages = {path.name for path in report.glob("*.html")}
    names = [path.stem for path in settings.NOTEBOOKS.glob("*.ipynb")]
    assert pages == {"index.html", *(f"{name}.html" for name in names if name != chapters.SUMMARY)}
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert not [path for path in report.iterdir() if path.name.startswith(".")]


def test_pages_load_nothing_and_lead_to_pages_that_are_there(report):
    for page in report.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size < 1_500_000
        assert "<script src" not in text
        # what is cited is led to, and not loaded
        assert not re.search(r'(?:src|href)="(?:https?:)?//(?!doi\.org/)', text)
        # figures are pictures of previews; what a script puts in holds itself
        assert not re.search(r'url\((?!data:|#|figures/|"\$\{data\.sheet)', text)
        for picture in re.findall(r"url\((figures/[^)]+)\)", text):
            assert (report / picture).exists(), picture
        assert "the figures of 2019 do not apply" in text
        assert str(settings.ROOT) not in text
        assert str(report) not in text
        content = text[text.index("</style>") :]
        assert "Traceback" not in content
        assert "WARNING" not in content
        assert "Warning:" not in content
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
    assert not table.duplicated([*results.CONFIG_COLUMNS, "set", "rule"]).any()
    assert table["accuracy"].between(0, 100).all()
    assert table["seed"].nunique() == SEEDS
    for name, value in whole_run.variables.items():
        monkeypatch.setenv(name, value)
    configs, _ = planned()
    assert all(cache.load(config.resolve().key()) for config in configs)
    run = trainer.train(replace(study_plan.make_plan("smoke", "digits").config(), seed=1))
    rows = table[(table["model"] == "base") & (table["epochs"] == 3) & (table["seed"] == 1)]
    rows = rows[(rows["margin"] == 1) & (rows["rule"] == "0.5")].set_index("set")
    [found] = pair_distances.of_trained([run])
    for pair_set in SETS:
        distance, different = found.labelled_distances(pair_set)
        right = 100 * ((distance > 0.5) == different).mean()
        assert rows.loc[pair_set, "accuracy"] == pytest.approx(right)
        assert rows.loc[pair_set, "AUC"] == pytest.approx(roc_auc_score(different, distance))


def test_the_lines_for_those_who_check_arrive_at_a_number_of_the_report(report):
    page = BeautifulSoup((report / "12-how-it-was-made.html").read_text(), "html.parser")
    [lines] = [
        code.get_text() for code in page("pre") if code.get_text().startswith("import numpy")
    ]
    done = subprocess.run([sys.executable, "-c", lines], cwd=report, capture_output=True, text=True)
    rows = pd.read_csv(report / "results" / "accuracy.csv")
    base = (
        "model == 'base' and margin == 1 and optimizer == 'rmsprop' and epochs == 3 and seed == 0"
    )
    base += " and task == 'contrastive' and set == 'unseen' and rule == '0.5' and seen.isna()"
    [accuracy] = rows.query(base)["accuracy"]
    assert float(done.stdout) == pytest.approx(accuracy, abs=1e-4)  # it prints four decimals
    files = list((report / "results").glob("*.npz"))
    assert len(files) == 4
    assert sum(path.stat().st_size for path in files) < 12e6


def test_the_networks_have_learned(report):
    table = pd.read_csv(report / "results" / "accuracy.csv")
    longest = table[(table["epochs"] == table["epochs"].max()) & (table["rule"] == "tuned")]
    mean = longest.groupby(["model", "margin", "set"])["AUC"].mean()
    assert mean["base", 1.0, "seen"] > 0.95
    assert mean["base", 1.0, "seen"] > mean["base", 1.0, "unseen"] > 0.6


def test_every_claim_is_judged(report):
    found = pd.read_csv(report / "results" / "claims.csv", dtype={"claim": str})
    assert set(found["claim"]) == set(claims.CLAIMS)
    assert set(found["verdict"]) <= set(verdicts.VERDICTS)
    assert found[["mean", "low", "high"]].notna().all(axis=None)


def test_results_hold_numbers_and_names_and_no_text(report):
    for path in (report / "results").glob("*.[cj]s*"):
        text = path.read_text(encoding="utf-8")
        assert "±" not in text, path.name
        assert "\u00b1" not in text, path.name
        assert not re.search(r"−\d", text), path.name


def test_a_list_names_what_there_is_to_do(whole_run, start):
    process = start(*whole_run.arguments, "--list", **whole_run.variables)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "03-base-model: 4 trainings, 0 to do" in out
    assert "cached base, m = 1, rmsprop, seed 1, 3 epochs" in out
    assert out.strip().endswith("0 to do, about 0:00 here")


@pytest.mark.slow
def test_a_list_of_a_fresh_run_has_all_to_do_and_does_nothing(store, tmp_path, capsys):
    options = ["--profile", "smoke", "--dataset", "digits", "--only", "10", "--seeds", "1"]
    output = tmp_path / "report"
    plan = study_plan.make_plan("smoke", "digits", 1)
    plan.train(plan.config())
    assert run_all.main([*options, "--output", str(output), "--list"]) == 0
    assert "0 to do, about" in capsys.readouterr().out
    assert run_all.main([*options, "--output", str(output), "--list", "--fresh"]) == 0
    assert "1 to do, about" in capsys.readouterr().out
    assert not output.exists()


RUN_AS_SCRIPTS = """
import json, os, sys
from pathlib import Path
for notebook in map(Path, sys.argv[2:]):
    os.environ["SIAMESE_RESULTS_DIR"] = str(Path(sys.argv[1]) / notebook.stem)
    scope = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), scope)
            if "parameters" in cell["metadata"].get("tags", ()):
                scope |= {"profile": "smoke", "dataset": "digits", "seeds": 2}
    assert "tensorflow" not in sys.modules, f"{notebook.stem} loads TensorFlow"
"""


def test_with_all_in_the_store_tensorflow_is_loaded_by_pages_that_show_a_network_alone(
    whole_run, tmp_path
):
    # the precision is known, so that TensorFlow need not be loaded to try it
    facts = json.loads((whole_run.report / "results" / publish.MANIFEST).read_text())
    folders = {settings.PRECISION_VARIABLE: facts["precision"].removeprefix("mixed_")}
    folders[settings.CACHE_VARIABLE] = str(whole_run.store)
    folders[settings.REPORT_RESULTS_VARIABLE] = str(whole_run.report / "results")
    paths = [
        str(c.path) for c in chapters.list_chapters() if c.number not in ("02", "03", "04", "07")
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN_AS_SCRIPTS, str(tmp_path), *paths],
        env={**os.environ, **build.COMMON_ENVIRONMENT, **folders},
        cwd=settings.NOTEBOOKS,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-300:]


def test_a_second_run_trains_nothing_and_makes_the_same_pages(whole_run, start):
    def pages():
        paths = [path for path in whole_run.report.rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in paths}

    def stored():
        return {path.name: path.stat().st_mtime for path in whole_run.store.iterdir()}

    before = pages(), stored()
    process = start(*whole_run.arguments, **whole_run.variables)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "trained: " not in out
    assert out.count(", unchanged") == len(CHAPTERS)
    assert (pages(), stored()) == before


@pytest.mark.slow
@pytest.mark.fault(
    "Ctrl-C while networks are trained",
    "exit 130, one line; finished trainings and the old report stay",
)
def test_ctrl_c_keeps_the_store_and_the_old_report(tmp_path, monkeypatch, start, make_old_report):
    folder, output = tmp_path / "store", tmp_path / "report"
    make_old_report(output)
    process = start(
        *["--profile", "smoke", "--dataset", "digits", "--seeds", "9", "--workers", "1"],
        *["--output", str(output), "--no-pdf"],
        **{settings.CACHE_VARIABLE: str(folder)},
    )
    deadline = time.monotonic() + 120
    while not (folder.is_dir() and list(folder.glob("[!.]*.npz"))):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().count("\n") == 0
    assert sorted(path.name for path in output.iterdir()) == ["index.html", "results"]
    assert (output / "index.html").read_text() == "the old report"
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(folder))
    assert all(cache.load_arrays(path.stem) for path in folder.glob("[!.]*.npz"))


@pytest.mark.fault("`--only` into the folder of a whole report", "one line, exit 2")
def test_a_part_never_replaces_a_whole_report(store, tmp_path, capsys, make_old_report):
    make_old_report(tmp_path)
    status = run_all.main(["--dataset", "digits", "--only", "3", "--output", str(tmp_path)])
    assert status == 2
    assert "holds a whole report" in capsys.readouterr().err


def test_a_part_never_replaces_a_whole_report_whose_move_was_interrupted(store, tmp_path, capsys):
    staging = publish.open_staging(tmp_path)
    (staging / "index.html").write_text("a whole report")
    (staging / "results" / publish.MANIFEST).write_text('{"files": ["index.html", "results"]}')
    staging.rename(tmp_path / publish.COMPLETE)  # and here the plug was pulled
    status = run_all.main(["--dataset", "digits", "--only", "3", "--output", str(tmp_path)])
    assert status == 2
    assert "holds a whole report" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "a whole report"


@pytest.mark.fault("two runs into one folder", "the second is refused, exit 2")
def test_a_second_run_into_one_folder_is_refused(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("work was begun"))
    with publish.lock_output(tmp_path):
        status = run_all.main(["--dataset", "digits", "--output", str(tmp_path)])
    assert status == 2
    assert "another run writes to" in capsys.readouterr().err
    with publish.lock_output(tmp_path):
        pass  # it is free again
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sedes", "3"], "--sedes"),
        (["--profile", "fast"], "fast"),
        (["--dataset", "mnist"], "'mnist' is none of auto, fashion-mnist, digits, and no folder"),
        (["--image-size", "32"], "for --dataset FOLDER"),
        (["--unseen", "three"], "for --dataset FOLDER"),
        (["--only", "03", "42"], "no notebook 42"),
        (["--only"], "--only"),
        (["--only", "00"], "reads the results of all others"),
        (["--only", "03", "12"], "reads the results of all others"),
        (["--seeds", "0"], "1 or more"),
        (["--seeds", "many"], "many"),
        (["--precision", "half"], "half"),
        (["--output", f"{__file__}/below"], "below"),
        (["--prof", "quick"], "--prof"),
    ],
)
@pytest.mark.fault("mistyped options and wrong values", "one line, exit 2")
def test_a_mistake_ends_with_one_line_and_exit_2(arguments, message, store, capsys, monkeypatch):
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("work was begun"))
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
def make_notebook(monkeypatch, write_notebook):
    """Return a function that makes a series of one notebook, 01-a, in a folder."""

    def make(folder, code):
        write_notebook(folder, code)
        monkeypatch.setattr(settings, "NOTEBOOKS", folder)

    return make


@pytest.mark.fault("relative folders, spaces and braces in paths", "the report is made")
@pytest.mark.slow
def test_folders_may_be_relative_and_hold_braces(tmp_path, monkeypatch, make_notebook):
    told = "from siamese_utils import settings; (settings.results_dir() / 'told.txt').write_text("
    make_notebook(tmp_path / "my {notebooks}", f"{told}str(settings.cache_dir()))")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(settings.CACHE_VARIABLE, "store")
    status = run_all.main(["--dataset", "digits", "--output", "my {report}", "--no-pdf"])
    assert status == 0
    found = (tmp_path / "my {report}" / "results" / "told.txt").read_text()
    assert found == str(tmp_path / "store")


@pytest.mark.fault("a cell fails in a whole run", "exit 1; the old report stays")
def test_a_failing_notebook_ends_with_exit_1_and_says_where(
    tmp_path, store, capsys, make_notebook, make_old_report
):
    make_notebook(tmp_path, "assert 1 == 2")
    make_old_report(tmp_path / "report")
    status = run_all.main(["--dataset", "digits", "--output", str(tmp_path / "report")])
    assert status == 1
    said = capsys.readouterr().err
    assert "01-a.ipynb, cell 3: AssertionError" in said
    assert (tmp_path / "report" / "index.html").read_text() == "the old report"


@pytest.mark.fault("a check of a notebook fails", "the report is made and says so; exit 1")
@pytest.mark.slow
def test_a_failed_check_costs_a_line_and_not_the_report(tmp_path, store, capsys, make_notebook):
    make_notebook(
        tmp_path,
        "from siamese_utils.reporting import show; show.check('1 is 2', 1 == 2); print('end')",
    )
    output = tmp_path / "report"
    assert run_all.main(["--dataset", "digits", "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert said == f"run_all.py: 1 check failed: {output}/01-a.html#check-1\n"
    page = (output / "01-a.html").read_text(encoding="utf-8")
    assert "1 check failed." in page
    assert '<pre class="output">end' in page  # it went on
    table = pd.read_csv(output / "results" / "checks.csv")
    assert table.to_dict("records") == [
        {"link": "01-a.html#check-1", "sentence": "1 is 2", "passed": False}
    ]
    # and again, from the kept copy
    assert run_all.main(["--dataset", "digits", "--output", str(output), "--no-pdf"]) == 1
    assert capsys.readouterr().err == said


@pytest.mark.slow
@pytest.mark.fault("a precision that TensorFlow cannot run here", "one line, exit 2")
def test_a_precision_that_cannot_run_ends_with_one_line(start, tmp_path):
    process = start(
        *["--dataset", "digits", "--precision", "bfloat16", "--output", str(tmp_path / "report")],
        *["--only", "02", "--no-pdf"],  # which trains nothing, if the processor has bfloat16
        **{machine.ISA_VARIABLE: "AVX2"},
    )
    _, err = process.communicate()
    if process.returncode == 0:
        pytest.skip("this TensorFlow computes in bfloat16 on processors with AVX2")
    assert process.returncode == 2
    assert err.strip().count("\n") == 0
    assert "TensorFlow cannot train in bfloat16 on this machine; choose float32 or auto" in err
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_the_precision_is_that_of_all_processes(tmp_path, store, make_notebook):
    make_notebook(
        tmp_path, "from siamese_utils.training import machine; print(machine.best_precision())"
    )
    output = tmp_path / "report"
    options = ["--dataset", "digits", "--no-pdf", "--precision", "float32", "--output", str(output)]
    assert run_all.main(options) == 0
    assert '<pre class="output">float32' in (output / "01-a.html").read_text()
    facts = json.loads((output / "results" / publish.MANIFEST).read_text())
    assert facts["precision"] == "float32"


@pytest.mark.fault("the PDF engine fails", "the pages are published without it, exit 1")
@pytest.mark.slow
def test_trouble_with_the_pdf_costs_the_pdf_alone(
    tmp_path, store, capsys, make_notebook, monkeypatch
):
    def refuse(*_, **__):
        raise RuntimeError("no fonts")

    make_notebook(tmp_path, "print('done')")
    output = tmp_path / "report"
    (publish.open_staging(output) / "report.pdf").write_text("the old one")
    publish.publish(output, {})
    monkeypatch.setattr(typst, "compile", refuse)
    status = run_all.main(["--dataset", "digits", "--output", str(output)])
    assert status == 1
    assert "without a PDF: no fonts" in capsys.readouterr().err
    assert "report.pdf" not in (output / "01-a.html").read_text()
    assert not (output / "report.pdf").exists()


@pytest.mark.parametrize("engine", ["typst", "pypandoc"])
@pytest.mark.fault(
    "the PDF engine does not load", "one line, exit 2; with --no-pdf the pages are made"
)
@pytest.mark.slow
def test_without_an_engine_there_are_pages(
    engine, tmp_path, store, capsys, make_notebook, monkeypatch
):
    make_notebook(tmp_path, "print('done')")
    monkeypatch.setitem(sys.modules, engine, None)  # as where it is missing or broken
    options = ["--dataset", "digits", "--output", str(tmp_path / "report")]
    assert run_all.main(options) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"no PDF can be made here (import of {engine}" in line
    assert "or use --no-pdf" in line
    assert run_all.main([*options, "--no-pdf"]) == 0
