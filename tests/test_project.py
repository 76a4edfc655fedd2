"""The project's own files: style, set-up, and what may not stand in them."""

import io
import json
import re
import subprocess
import sys
import tomllib

import pandas as pd
import pytest

from siamese_utils import data, series, settings, tables


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_is_content(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_the_lock_holds_every_dependency_in_an_exact_version_and_no_address():
    lock = (settings.ROOT / "requirements.lock").read_text().splitlines()
    pinned = dict(line.split("==") for line in lock if not line.startswith("#"))
    project = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[><=\[]", line)[0].replace("_", "-").lower() for line in wanted}
    assert names <= {name.replace("_", "-").lower() for name in pinned}
    assert not [line for line in lock if "://" in line or line.startswith("-")]


def test_the_readme_and_ci_agree_on_the_second_command():
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"```bash\n(python3 -m venv .+?)\n```", readme)
    assert commands[0].endswith(".venv/bin/python run_all.py")
    ci = (settings.ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert commands[1] == ci.replace("install -q", "install")


def committed(path):
    """A file as it was committed: a reader's own run has replaced the report, and may."""
    done = subprocess.run(
        ["git", "show", f"HEAD:./{path}"], cwd=settings.ROOT, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"{path} is not in a commit here")
    return done.stdout


def readme_table(accuracy):
    """The README's table, made from an accuracy.csv."""
    measured = pd.read_csv(io.StringIO(accuracy))
    rows = ["| accuracy in % at threshold 0.5 | seen | all | unseen |", "|---|---|---|---|"]
    for study in tables.STUDY.itertuples():
        name = f"{study.model} model, margin {study.margin:g}"
        chosen = {"model": study.model, "margin": study.margin, "optimizer": "rmsprop"}
        part = tables.select(measured, threshold_rule="fixed 0.5", **chosen)
        found = tables.summarise(part, ["pair_set"])
        figures = [f"{getattr(study, s):.2f}" for s in data.TEST_SETS]
        rows.append(f"| {name}, 2019 | {' | '.join(figures)} |")
        rows.append(
            f"| {name}, ours | {' | '.join(tables.percent(found[s]) for s in data.TEST_SETS)} |"
        )
    part = tables.select(measured, model="complex", margin=5.0, threshold_rule="half margin")
    found = tables.summarise(part, ["pair_set"])
    figures = " | ".join(tables.percent(found[s]) for s in data.TEST_SETS)
    rows.append(f"| the same at threshold m/2 = 2.5, ours | {figures} |")
    return "\n".join(rows)


def test_the_readme_table_is_that_of_the_report():
    assert readme_table(committed("reports/results/accuracy.csv")) in committed("README.md")


def test_the_committed_report_is_a_full_one_of_these_notebooks():
    facts = json.loads(committed("reports/results/report.json"))
    assert facts["profile"] == "full"
    assert facts["dataset"] == "fashion-mnist"
    assert facts["seeds"] >= 3
    pages = {chapter.page for chapter in series.chapters()}
    assert {*pages, "report.pdf", "figures", "results"} == set(facts["files"])
