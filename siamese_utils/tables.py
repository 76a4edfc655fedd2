"""Results as tables: measured from trainings, summed up over seeds, kept as CSV and JSON."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from siamese_utils import evaluation, runs, settings
from siamese_utils.data import TEST_SETS, Dataset
from siamese_utils.evaluation import Interval, Measured
from siamese_utils.pairs import Pairs
from siamese_utils.runs import Run

PAIR_SETS = ("train", "validation", *TEST_SETS)
RULES = ("fixed 0.5", "half margin", "tuned")  # tuned: best on the validation pairs
# the name of each rule's accuracy in a panel
ACCURACY_OF_RULE = dict(
    zip(RULES, ("accuracy, 0.5", "accuracy, m/2", "accuracy, tuned"), strict=True)
)
Panel = dict[tuple[str, str], Measured]  # (set, figure) -> its value for each seed

# Accuracy in % at distance 0.5, one training each. Source: Hou 2019, Tables 2 to 5.
STUDY = pd.DataFrame(
    [
        ("Table 2", "base", 1.0, 95.99, 79.85, 61.43),
        ("Tables 3, 4", "complex", 1.0, 96.18, 81.69, 65.32),
        ("Table 5", "complex", 5.0, 81.96, 67.78, 55.43),
    ],
    columns=["table", "model", "margin", *TEST_SETS],
)
# The training accuracy of the three networks behind each row: one for each test set.
STUDY_TRAINING = {
    ("base", 1.0): (99.85, 99.73, 99.70),
    ("complex", 1.0): (96.75, 96.84, 95.10),
    ("complex", 5.0): (82.58, 78.84, 79.32),
}

KEY_COLUMNS = ["model", "margin", "optimizer", "learning_rate", "epochs", "seed"]
ACCURACY_COLUMNS = [
    *["model", "margin", "optimizer", "learning_rate", "seed"],
    *["pair_set", "threshold_rule", "threshold", "accuracy", "auc", "epochs"],
]


def different_of(distances: np.ndarray) -> np.ndarray:
    """Return the labels of a run's distances: its pairs are half positive, then half negative."""
    return np.arange(len(distances)) >= len(distances) // 2


def judged(run: Run, pair_set: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances and the labels of a run's pairs, both (pairs,)."""
    distances = run.distances[pair_set]
    return distances, different_of(distances)


def measure(runs: Iterable[Run]) -> pd.DataFrame:
    """Return the accuracy of each run on each pair set by each threshold rule, in %, and the AUC."""
    return pd.DataFrame([row for run in runs for row in _measure_run(run)])


def _measure_run(run: Run) -> Iterable[dict[str, object]]:
    experiment = run.record["experiment"]
    names = {column: experiment[column] for column in KEY_COLUMNS}
    thresholds = {
        "fixed 0.5": 0.5,
        "half margin": experiment["margin"] / 2,
        "tuned": evaluation.best_threshold(*judged(run, "validation")),
    }
    for pair_set in PAIR_SETS:
        distance, different = judged(run, pair_set)
        auc = evaluation.roc_auc(distance, different)
        for rule, threshold in thresholds.items():
            accuracy = 100 * evaluation.accuracy(distance, different, threshold)
            measured = {"pair_set": pair_set, "threshold_rule": rule, "threshold": threshold}
            yield names | measured | {"accuracy": accuracy, "auc": auc}


def summarise(
    measured: pd.DataFrame, by: list[str], value: str = "accuracy"
) -> "pd.Series[Interval]":
    """Return the mean over the seeds, with its interval, for each combination of the columns `by`."""
    return measured.groupby(by, sort=False)[value].agg(lambda v: evaluation.interval(v.to_numpy()))


def paired_differences(
    measured: pd.DataFrame, first: dict[str, object], second: dict[str, object]
) -> np.ndarray:
    """Return first minus second, seed by seed: (seeds,) in points of %.

    first, second: a value for each column that selects the rows, one a seed.
    """
    a, b = (select(measured, **rows).set_index("seed")["accuracy"] for rows in (first, second))
    return (a - b).dropna().to_numpy()


def changes(first: Panel, second: Panel, pair_set: str) -> dict[str, Measured]:
    """Return the accuracy of the first encoder minus the second's at each threshold rule."""
    return {
        rule: first[pair_set, name] - second[pair_set, name]
        for rule, name in ACCURACY_OF_RULE.items()
    }


def judge_changes(found: dict[str, Measured], area_change: Measured, claimed: int) -> str:
    """Return the verdict on a claim made at threshold 0.5, in the light of the tuned one and the AUC."""
    return evaluation.judge_threshold(found["fixed 0.5"], found["tuned"], area_change, claimed)


def select(measured: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Return the rows that hold these values in the columns so named."""
    chosen = np.ones(len(measured), dtype=bool)
    for column, value in values.items():
        chosen &= (measured[column] == value).to_numpy()
    return measured[chosen]


def accuracy_table(measured: pd.DataFrame, with_study: bool) -> pd.DataFrame:
    """Return the table of the report: mean accuracy with interval by model, margin and threshold.

    Below each model stand its areas under the ROC curve and, where they apply, the figures of 2019.
    """
    shown = ["train", *TEST_SETS]
    rows = []
    for (model, margin), part in measured.groupby(["model", "margin"], sort=False):
        names = {"model": model, "margin": f"{margin:g}"}
        for rule in RULES:
            label = {"fixed 0.5": "0.5", "half margin": "m/2", "tuned": "tuned"}[rule]
            if margin == 1.0 and rule != "tuned":
                if rule == "half margin":
                    continue  # the same threshold
                label = "0.5 = m/2"
            found = summarise(select(part, threshold_rule=rule), ["pair_set"])
            rows.append(names | {"threshold": label} | {s: percent(found[s]) for s in shown})
        found = summarise(select(part, threshold_rule="tuned"), ["pair_set"], "auc")
        rows.append(names | {"threshold": "none: AUC"} | {s: area(found[s]) for s in shown})
        if with_study:
            rows += [names | row for row in _study_rows(model, margin)]
    return pd.DataFrame(rows)


def _study_rows(model: str, margin: float) -> Iterable[dict[str, str]]:
    for row in select(STUDY, model=model, margin=margin).to_dict("records"):
        training = " / ".join(f"{value:.2f}" for value in STUDY_TRAINING[model, margin])
        figures = {name: f"{row[name]:.2f}" for name in TEST_SETS}
        yield {"threshold": "0.5, in 2019", "train": training, **figures}


def study_at_half() -> dict[str, dict[str, float]]:
    """Return the study's figures at margin 1: set -> model -> accuracy in %."""
    rows = select(STUDY, margin=1.0).set_index("model")
    return {name: rows[name].to_dict() for name in TEST_SETS}


def difference_table(
    found_changes: dict[tuple[str, str], Measured], condition: str = "threshold"
) -> pd.DataFrame:
    """Return paired differences as a table, (set, condition) -> difference, and which is better."""
    rows = []
    for (name, under), difference in found_changes.items():
        found = difference.interval
        row = {condition: under, "set": name, "mean": signed(found.mean)}
        row |= {"95 % interval": between(found), "the first is": evaluation.compare(found)}
        rows.append(row)
    return pd.DataFrame(rows)


def panel_table(panel: Panel) -> pd.DataFrame:
    """Return an encoder's panel as a table: a row for each figure, a column for each set."""
    figures = dict.fromkeys(figure for _, figure in panel)
    rows = [
        {"measure": figure} | {s: in_unit(figure, panel[s, figure].interval) for s in TEST_SETS}
        for figure in figures
        if not np.isnan(panel["seen", figure].whole).all()
    ]
    return pd.DataFrame(rows)


def compare_panels(
    panels: dict[str, Panel], columns: Sequence[tuple[str, str]], name: str = "encoder"
) -> pd.DataFrame:
    """Return one row for each encoder and one column for each (set, figure).

    Where all columns are of one set its name is left out: the caption says it.
    """
    alone = len({pair_set for pair_set, _ in columns}) == 1
    rows = []
    for encoder, panel in panels.items():
        found = {
            figure if alone else f"{figure}, {pair_set}": in_unit(
                figure, panel[pair_set, figure].interval
            )
            for pair_set, figure in columns
        }
        rows.append({name: encoder} | found)
    return pd.DataFrame(rows)


def in_unit(figure: str, value: Interval) -> str:
    """Return a figure of the panel as text: an area to three places, all else in % to two."""
    if np.isnan(value.mean):
        return "–"
    return area(value) if figure in ("AUC", "average precision") else percent(value)


def add_panels(panels: dict[str, Panel]) -> None:
    """Add panels to this run's panel.csv: a row for each encoder, set and figure, with its interval."""
    rows = [
        {"encoder": encoder, "pair_set": pair_set, "figure": figure, "mean": found.mean}
        | {"low": found.low, "high": found.high, "seeds": len(measured.whole)}
        for encoder, panel in panels.items()
        for (pair_set, figure), measured in panel.items()
        for found in [measured.interval]
    ]
    _add("panel", pd.DataFrame(rows), key=["encoder", "pair_set", "figure"])


def gaps_to_study(measured: pd.DataFrame, model: str, margin: float) -> dict[str, dict]:
    """Return, for each test set, our accuracy at 0.5 beside the study's, or {} where it has none.

    The verdict says whether the study's single run lies where one more seed of ours is expected.
    """
    study = select(STUDY, model=model, margin=margin)
    ours = select(measured, model=model, margin=margin, threshold_rule="fixed 0.5")
    gaps = {}
    for name in TEST_SETS if len(study) else ():
        values = select(ours, pair_set=name)["accuracy"].to_numpy()
        published = float(study[name].item())
        verdict = evaluation.judge_figure(values, published)
        gaps[name] = {"study": published, "gap": values.mean() - published, "verdict": verdict}
    return gaps


def describe_gaps(gaps: dict[str, dict]) -> str:
    """Return sentences that set our figures against the study's; empty where it has none."""
    if not gaps:
        return ""
    values = ", ".join(
        f"{name} {gap['study']:.2f} ({signed(gap['gap'])})" for name, gap in gaps.items()
    )
    outside = [name for name, gap in gaps.items() if gap["verdict"] == evaluation.FAILS]
    if any(gap["verdict"] == evaluation.UNDECIDED for gap in gaps.values()):
        verdict = "One seed gives no interval to hold them against."
    elif outside:
        verdict = (
            f"Outside the range in which one more seed of ours is expected: {', '.join(outside)}."
        )
    else:
        verdict = "All three lie in the range in which one more seed of ours is expected."
    return f"The study's figures, and ours minus them: {values}. {verdict}"


def drop(measured: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Return the rows that `select` would leave out."""
    measured = measured.reset_index(drop=True)
    return measured.drop(select(measured, **values).index)


# Files -----------------------------------------------------------------------


def save(table: pd.DataFrame, name: str) -> None:
    """Write a table to this run's results as CSV."""
    _write(settings.results_dir() / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))


def save_facts(name: str, **facts: object) -> None:
    """Write single figures that prose uses to this run's results as JSON."""
    path = settings.results_dir() / f"{name}.json"
    text = json.dumps(facts, indent=1, sort_keys=True, allow_nan=False)
    _write(path, text + "\n")


def add_to_accuracy(measured: pd.DataFrame) -> None:
    """Add rows to this run's accuracy.csv, in place of rows of the same training."""
    _add("accuracy", measured[ACCURACY_COLUMNS], [*KEY_COLUMNS, "pair_set", "threshold_rule"])


def add_claim(
    number: str, statement: str, *, study: str, ours: str, verdict: str, why: str, evidence: str
) -> None:
    """Add a judged claim to this run's claims.csv.

    study: its figure; ours: the same with its interval; why: one sentence; evidence: the
    notebook's name.
    """
    row = {"claim": number, "statement": statement, "2019": study, "ours": ours}
    row |= {"verdict": verdict, "why": why, "evidence": evidence}
    _add("claims", pd.DataFrame([row]), key=["claim"])


def _add(name: str, rows: pd.DataFrame, key: list[str]) -> None:
    path = settings.results_dir() / f"{name}.csv"
    if path.exists():
        rows = pd.concat([_read_csv(path), rows])
    rows = rows.drop_duplicates(key, keep="last").sort_values(key, kind="stable")
    save(rows, name)


def claims_of(evidence: str, with_study: bool) -> pd.DataFrame:
    """Return the claims that a notebook has judged in this run."""
    claims = _read_csv(settings.results_dir() / "claims.csv")
    claims = select(claims, evidence=evidence).drop(columns="evidence")
    return verdict_first(claims if with_study else claims.drop(columns="2019"))


def verdict_first(claims: pd.DataFrame) -> pd.DataFrame:
    """Return claims with the verdict beside the statement, where narrow screens show it too."""
    first = ["claim", "statement", "verdict"]
    return claims[[*first, *claims.columns.drop(first)]]


def add_histories(runs: Iterable[Run]) -> None:
    """Add the curves of trainings to this run's histories.csv, a row for each epoch."""
    parts = []
    for run in runs:
        names = {column: run.record["experiment"][column] for column in KEY_COLUMNS}
        part = pd.DataFrame(run.history).rename_axis("epoch").reset_index()
        parts.append(part.assign(**names, epoch=part["epoch"] + 1))
    columns = [*KEY_COLUMNS, "epoch"]
    rows = pd.concat(parts)
    _add("histories", rows[[*columns, *rows.columns.difference(columns)]], columns)


def read(name: str) -> pd.DataFrame:
    """Return a table of the report by name. Raises FileNotFoundError where there is none."""
    return _read_csv(settings.published_results_dir() / f"{name}.csv")


def read_facts(name: str) -> dict[str, object]:
    """Return the single figures of the report by name."""
    path = settings.published_results_dir() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def read_trainings() -> pd.DataFrame:
    """Return the trainings that this run has used so far, a row for each; read the report's own.

    `kind` says in words what was trained, and `on_the_way` whether a longer training passed
    through this one, which then took no time of its own.
    """
    path = settings.published_results_dir() / runs.TRAININGS
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    records = {record["key"]: record for record in told}
    rows = []
    for record in records.values():
        experiment = record["experiment"]
        # only a training of the first study stores shorter ones on its way
        but_for_length = json.dumps(
            experiment | ({"epochs": None} if "model" in experiment else {})
        )
        row = {name: record.get(name) for name in ("seconds", "data", "machine", "precision")}
        rows.append(row | experiment | {"kind": _kind_of(experiment), "same": but_for_length})
    table = pd.DataFrame(rows)
    table["on_the_way"] = table["epochs"] < table.groupby("same")["epochs"].transform("max")
    order = ["kind", "epochs", "seed"]
    return table.drop(columns="same").sort_values(order, kind="stable", ignore_index=True)


def _kind_of(experiment: dict[str, object]) -> str:
    if "num_pairs" in experiment:
        return "transfer to textures"
    if "model" not in experiment:
        return "pretraining on digits"
    part = f", {number:,} images a class" if (number := experiment.get("images_per_class")) else ""
    choice = ", a choice of classes" if experiment["seen"] else ""
    return f"{experiment['model']}, {experiment['objective']}{part}{choice}"


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a table back as it was written, to the last digit."""
    return pd.read_csv(path, dtype={"claim": str}, float_precision="round_trip")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)


# Figures as text -----------------------------------------------------------------------


def percent(value: Interval) -> str:
    """Return a percentage to two places, with the half-width of its interval where there is one."""
    return plus_minus(value, places=2)


def mean_of(seeds: int, images_too: bool = False) -> str:
    """Return what the figures of a table are, for its caption.

    images_too: whether the intervals are over seeds and images, or over seeds alone.
    """
    if seeds == 1:
        return "one seed, so no interval"
    over = " over seeds and images" if images_too else ""
    return f"mean over {seeds} seeds ± half the width of its 95 % interval{over}"


def area(value: Interval) -> str:
    """Return an area under the ROC curve to three places, with its interval."""
    return plus_minus(value, places=3)


def plus_minus(value: Interval, places: int) -> str:
    """Return a mean with half the width of its interval, where it has one."""
    mean = f"{value.mean:.{places}f}"
    return mean if np.isnan(value.low) else f"{mean} ± {value.half_width:.{places}f}"


def points(value: Interval) -> str:
    """Return a difference in points of % with its sign and its whole interval."""
    if np.isnan(value.low):
        return f"{signed(value.mean)} points (one seed, no interval)"
    return f"{signed(value.mean)} points (95 % interval {between(value)})"


def difference(value: Interval, places: int = 3) -> str:
    """Return a difference that is no percentage with its sign and its whole interval."""
    if np.isnan(value.low):
        return f"{signed(value.mean, places)} (one seed, no interval)"
    return f"{signed(value.mean, places)} (95 % interval {between(value, places)})"


def describe_changes(found: dict[str, Measured], area_change: Measured) -> str:
    """Return what changes at the study's threshold, at the tuned one and in the AUC, in words."""
    at = {rule: points(change.interval) for rule, change in found.items()}
    return (
        f"{at['fixed 0.5']} at 0.5; {at['tuned']} at the tuned threshold; "
        f"AUC {difference(area_change.interval)}"
    )


def why_of_changes(
    verdict: str, found: dict[str, Measured], area_change: Measured, claimed: int
) -> str:
    """Return the reason of a verdict at 0.5, and what the tuned threshold and the AUC say to it."""
    words = {
        evaluation.HOLDS: "bears it out",
        evaluation.FAILS: "says the opposite",
        evaluation.UNDECIDED: "leaves it open",
    }
    tuned, area = (
        words[evaluation.judge(change.interval, claimed)]
        for change in (found["tuned"], area_change)
    )
    return f"{evaluation.REASONS[verdict]} The tuned threshold {tuned}; the AUC, which needs none, {area}."


def ends_of(
    histories: dict[str, list[dict[str, list[float]]]], measures: dict[str, str]
) -> dict[str, str]:
    """Return the last values of training curves, mean over seeds, by name.

    histories: name -> one history per seed; measures: key of a history -> its name.
    """
    return {
        f"{name}, {part} {label}": f"{np.mean([one[prefix + key][-1] for one in of]):.4f}"
        for name, of in histories.items()
        for key, label in measures.items()
        for prefix, part in (("", "training"), ("val_", "validation"))
    }


def in_words(values: dict[str, object]) -> str:
    """Return names and values, perhaps by groups, as a sentence, as an alt text needs it."""
    flat = {
        name: ", ".join(f"{part} {inner}" for part, inner in value.items())
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }
    return "; ".join(f"{name}: {value}" for name, value in flat.items()) + "."


def pair_titles(
    dataset: Dataset, pairs: Pairs, chosen: np.ndarray, distance: np.ndarray | None = None
) -> list[str]:
    """Return the classes of the pairs at the positions `chosen`, with their distances if given."""
    names = np.array(dataset.class_names)[dataset.labels]
    titles = []
    for position in chosen:
        a, b = names[pairs.first[position]], names[pairs.second[position]]
        title = a if a == b else f"{a} / {b}"
        titles.append(title if distance is None else f"{title}\nD = {distance[position]:.2f}")
    return titles


def between(value: Interval, places: int = 2) -> str:
    """Return the ends of an interval of differences; `none` where one seed gives no interval."""
    if np.isnan(value.low):
        return "none"
    return f"{signed(value.low, places)} to {signed(value.high, places)}"


def signed(value: float, places: int = 2) -> str:
    """Return a difference with its sign, a true minus where it is negative."""
    return f"{value:+.{places}f}".replace("-", "−")
