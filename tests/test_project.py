"""The project's own files: style, set-up, and what may not stand in them."""

import io
import json
import re
import subprocess
import sys
import tomllib

import pandas as pd
import pytest

from siamese_utils import settings
from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.publishing import chapters
from siamese_utils.reporting import published_results, results
from siamese_utils.training import cache, study_plan
from siamese_utils.training.pair_training import TrainingConfig


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_finds_nothing(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def pinned():
    """What the lock installs: name -> version."""
    text = (settings.ROOT / "requirements.lock").read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def test_the_lock_holds_every_dependency_with_its_hashes_and_no_address():
    text = (settings.ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    assert len(entries) == len(pinned()) > 100
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}$", entry.strip()) for entry in entries)
    project = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[><=\[]", line)[0].replace("_", "-").lower() for line in wanted}
    assert names <= pinned().keys()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


def test_the_lock_is_complete():
    """It is installed without looking for what a package needs, which an old pip does wrong."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_conda_has_the_versions_that_shape_numbers():
    text = (settings.ROOT / "environment.yml").read_text()
    named = dict(re.findall(r"- ([\w-]+)==([\w.]+)", text))
    assert set(cache.LIBRARIES) <= named.keys()
    assert named.items() <= pinned().items()


def test_the_readme_and_ci_agree_on_the_commands():
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    first, whole, tests = re.findall(r"```bash\n(.+?)\n```", readme)[:3]
    set_up, _, quick = first.rpartition(" && ")
    assert quick == f"{whole} --profile quick" == ".venv/bin/python run_all.py --profile quick"
    ci = (settings.ROOT / ".ci" / "run").read_text().splitlines()[-1]
    ci = ci.replace("install -q", "install").replace(" && wait", "")
    assert f"{set_up} && {tests} -m 'slow or not slow' --cov" == ci


def test_the_readme_counts_the_training_runs(fashion_mnist, store):
    plan = study_plan.make_plan("full", "fashion-mnist")
    pending = study_plan.pending(plan, [chapter.name for chapter in chapters.list_chapters()])
    configs = [config for of_chapter in pending.values() for config in of_chapter]
    full = [c for c in configs if isinstance(c, TrainingConfig) and c.images_per_class is None]
    others = len(configs) - len(full)
    text = f"trains {len(full)} networks on all training images, and {others} on fewer images"
    assert text in (settings.ROOT / "README.md").read_text(encoding="utf-8")


def committed(path):
    """A file as it was committed: a reader's own run has replaced the report, and may."""
    done = subprocess.run(
        ["git", "show", f"HEAD:./{path}"], cwd=settings.ROOT, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"{path} is not in a commit here")
    return done.stdout


def committed_table(name):
    """A CSV file of the report as it was committed, by its name below `reports`."""
    return pd.read_csv(io.StringIO(committed(f"reports/{name}.csv")))


def committed_names(pattern):
    """The names of the files in the repository that match a pattern."""
    return subprocess.run(
        ["git", "ls-files", pattern], cwd=settings.ROOT, capture_output=True, text=True
    ).stdout.split()


def readme_table(figures):
    """The README's table, made from the panel of the study's pairs."""
    rows = ["| accuracy in % | seen | all | unseen |", "|---|---|---|---|"]

    def add(name, cells):
        rows.append(f"| {name} | {' | '.join(f'{cell}' for cell in cells)} |")

    for row in published_results.TEST_ACCURACY.itertuples():
        name = f"{row.model} model, margin {row.margin:g}"
        own = figures[f"{row.model}, m = {row.margin:g}"]
        add(f"{name}, 2019", [f"{getattr(row, s):.2f}" for s in TEST_SETS])
        add(f"{name}, ours", [own[s, "accuracy, 0.5"] for s in TEST_SETS])
    add(
        "the same at threshold 2.5 (half the margin), ours",
        [own[s, "accuracy, m/2"] for s in TEST_SETS],
    )
    return "\n".join(rows)


def test_the_readme_table_is_that_of_the_report(tmp_path):
    text = committed("reports/results/panel-of-drawn.csv")
    (tmp_path / "panel-of-drawn.csv").write_text(text, encoding="utf-8")
    figures = results.read_measurements("panel-of-drawn", tmp_path)
    assert readme_table(figures) in committed("README.md")


def test_the_readme_findings_are_those_of_the_report(tmp_path):
    for name in ("panel", "panel-of-drawn"):
        text = committed(f"reports/results/{name}.csv")
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    sampled = results.read_measurements("panel-of-drawn", tmp_path)
    every = results.read_measurements("panel", tmp_path)
    base, complex_5 = sampled["base, m = 1"], sampled["complex, m = 5"]
    readme = committed("README.md")
    seen, unseen = (base[s, "accuracy, 0.5"].mean for s in ("seen", "unseen"))
    assert f"classifies {seen:.0f} % of pairs correctly on the six classes" in readme
    assert f"and {unseen:.0f} % on four unseen classes" in readme
    pixels, network = (
        every[name, "unseen", "AUC"].mean for name in ("raw pixels, cosine", "base, m = 1")
    )
    assert f"reaches an AUC of {pixels:.2f}, the base model {network:.2f}" in readme
    margin_1 = sampled["complex, m = 1"]["all", "accuracy, 0.5"].mean
    fixed, scaled = (complex_5["all", f"accuracy, {rule}"].mean for rule in ("0.5", "m/2"))
    assert f"{fixed:.2f} % with margin 5 and {margin_1:.2f} % with margin 1 at threshold" in readme
    assert f"threshold 2.5, half the margin, it is {scaled:.2f} %" in readme


def test_the_readme_finding_on_new_classes_is_that_of_the_benchmark():
    table = committed_table("benchmark/new-classes")
    assert table["split"].nunique() == 5
    mean = table.groupby(["model", "labelled"])[["AUC_new", "AUC_old"]].mean()

    def change(model, metric):
        return f"from {mean.loc[(model, 0), metric]:.2f} to {mean.loc[(model, 20), metric]:.2f}"

    readme = committed("README.md")
    base, ensemble = (change(model, "AUC_new") for model in ("base", "ensemble"))
    assert f"the AUC on these classes {base} (base model) and {ensemble} (ensemble)" in readme
    old = mean.loc["ensemble", "AUC_old"].round(2)
    assert old[0] == old[20]
    assert (
        f"The AUC on old classes (those in `fit`) goes {change('base', 'AUC_old')} (base model) "
        f"and stays at {old[20]:.2f} (ensemble)"
    ) in readme


def test_the_readme_finding_on_labels_is_that_of_the_report():
    table = committed_table("results/new-classes")
    means = table.groupby(["method", "labelled"])[["AUC, new classes", "AUC, old classes"]].mean()
    mean, old = means["AUC, new classes"], means["AUC, old classes"]
    readme = committed("README.md")
    assert (
        f"On these {table['split'].nunique()} class splits, the mean AUC on new (unseen) "
        f"classes is {mean['ensemble, unchanged', 0]:.2f} for an ensemble"
    ) in readme
    assert f"the ensemble reaches {mean['ensemble, retrained', 20]:.2f}" in readme
    alone = mean["HOG and mask, whitened on new images alone", 20]
    assert f"(which pixels are not black) reach {alone:.2f} too" in readme
    retrained = old["ensemble, retrained", 20]
    alone = old["HOG and mask, whitened on new images alone", 20]
    assert f"the ensemble is better ({retrained:.2f} against {alone:.2f})" in readme


def test_the_readme_finding_on_class_splits_is_that_of_the_report():
    table = committed_table("results/class-splits")
    auc = table.pivot(index="split", columns="method", values="AUC, new classes")
    pixels, base = (auc[name].mean() for name in ("raw pixels", "base model, Euclidean"))
    assert f"{pixels:.2f}" == f"{base:.2f}"
    readme = committed("README.md")
    assert f"On {len(auc)} other class splits (choices of six training classes)" in readme
    assert f"both have a mean AUC of {base:.2f}." in readme


def test_the_readme_finding_on_pretraining_is_that_of_the_report():
    gains = committed_table("results/transfer-gains")
    [repaired] = gains.query(
        "initialisation == 'pretrained on digits' and pairs == 50 and comparison == 'minus from scratch'"
    )["mean"]
    article = committed_table("results/article")
    [printed] = article.query(
        "measure == 'AUC, fresh pairs' and system == 'printed minus from scratch'"
    )["mean"]
    assert (
        f"by {-printed:.2f} with the article's code as printed, by {-repaired:.2f} after we removed its faults"
    ) in committed("README.md")


def test_the_readme_finding_on_probability_is_that_of_the_report():
    table = committed_table("results/probability")
    rows = table.query("model == 'base' and images == 10000 and pairs == 'unseen'")
    confidence, accuracy = (
        rows[rows["metric"] == name]["mean"].iloc[0] for name in ("confidence", "accuracy")
    )
    assert (
        f"mean confidence of {100 * confidence:.0f} % and an accuracy of {100 * accuracy:.0f} %"
        in committed("README.md")
    )


def test_the_readme_counts_the_runs_of_the_studys_protocol():
    names = committed_names("reports/replication/*.json")
    if not names:
        pytest.skip("there are none in a commit here")
    text = "all nine" if len(names) == 9 else f"{len(names)} of the nine"
    assert f"We have completed {text}" in committed("README.md")


def test_no_committed_result_holds_a_number_as_text():
    committed("reports/results/panel-of-drawn.csv")  # skips a report from before there was one
    names = committed_names("reports/results/*.[cj]s*")
    for name in names:
        text = committed(name)
        assert "±" not in text, name
        assert not re.search(r"−\d", text), name
        assert not re.search(r"[a-z]{3,}\. [A-Z]", text), f"{name} holds sentences"


def test_the_committed_report_is_a_full_one_of_these_notebooks():
    facts = json.loads(committed("reports/results/report.json"))
    assert facts["profile"] == "full"
    assert facts["dataset"] == "fashion-mnist"
    assert facts["seeds"] >= 3
    pages = {chapter.page for chapter in chapters.list_chapters()}
    assert {
        *pages,
        "report.pdf",
        "search.js",
        "figures",
        "notebooks",
        "results",
    } == set(facts["files"])
