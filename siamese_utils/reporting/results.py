"""Results as files: numbers in CSV and JSON, and back. No cell holds a number as text."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils import atomic_io, settings
from siamese_utils.data.dataset import SETS, Dataset
from siamese_utils.evaluation import metrics, pair_distances
from siamese_utils.evaluation.intervals import Interval, Measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.training import cache
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import NUM_EPOCHS

INTERVAL_COLUMNS = ["mean", "low", "high", "seeds", "unit"]  # of a measured figure
CONFIG_COLUMNS = [field.name for field in fields(TrainingConfig)]


def save(table: pd.DataFrame | pd.Series, name: str) -> None:
    """Write a table to this run's results as CSV.

    Measured figures become a row each: what they are of, then mean, low, high, seeds and unit.
    A named index is among what they are of, and so are the columns that hold no figures.
    """
    rows = _as_table(table)
    text = rows.to_csv(index=False, lineterminator="\n")
    atomic_io.write_atomically(settings.results_dir() / f"{name}.csv", text.encode())


def add(table: pd.DataFrame | pd.Series, name: str, instead_of: str = "") -> None:
    """Add measured figures to a CSV of this run, in place of those of the same things.

    instead_of: a column; all earlier rows with the same in it give way, and new ones keep their order.
    """
    rows = _as_table(table)
    key = [column for column in rows if column not in (*INTERVAL_COLUMNS, "verdict")]
    _add(rows, name, key, instead_of)


def read(name: str) -> pd.DataFrame:
    """Return a table of the report by name, as it stands. Raises FileNotFoundError."""
    return _read_csv(settings.published_results_dir() / f"{name}.csv")


def read_figures(name: str, folder: Path | None = None) -> pd.Series:
    """Return measured figures of the report: a series of intervals, by what they are of.

    folder: of the results, if not this run's or else the committed ones.
    """
    rows = _read_csv((folder or settings.published_results_dir()) / f"{name}.csv")
    keys = [column for column in rows if column not in INTERVAL_COLUMNS]
    values = [
        Interval(*row)
        for row in rows[INTERVAL_COLUMNS].fillna({"unit": ""}).itertuples(index=False)
    ]
    return pd.Series(values, index=pd.MultiIndex.from_frame(rows[keys]), dtype=object)


def to_rows(table: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Return measured figures as rows: the names of their place, then mean, low, high, seeds, unit."""
    if isinstance(table, pd.DataFrame):
        table = table.stack(list(range(table.columns.nlevels)), future_stack=True)
    figures = [f.interval if isinstance(f, Measurement) else f for f in table]
    places = table.index.to_frame(index=False).rename(columns=str)
    found = pd.DataFrame(
        [[getattr(f, name) for name in INTERVAL_COLUMNS] for f in figures], columns=INTERVAL_COLUMNS
    )
    return pd.concat([places, found], axis=1)


def add_trainings(runs: Sequence[TrainingResult], found: Sequence[PairDistances]) -> None:
    """Add trainings to this run's accuracy.csv and histories.csv.

    Rows are named by all fields of the experiment. Accuracies, in %, and the AUC are those on the
    study's pairs; `tuned` is the threshold of highest accuracy on its validation pairs.
    """
    accuracies = [
        row for run, one in zip(runs, found, strict=True) for row in _accuracies(run, one)
    ]
    _add(pd.DataFrame(accuracies), "accuracy", [*CONFIG_COLUMNS, "set", "rule"])
    parts = []
    for run in runs:
        part = pd.DataFrame(run.history).rename_axis("epoch").reset_index()
        part["epoch"] += 1
        names = {n: run.record["config"][n] for n in CONFIG_COLUMNS}
        parts.append(pd.DataFrame([_as_cells(names)] * len(part)).join(part))
    _add(pd.concat(parts), "histories", [*CONFIG_COLUMNS, "epoch"])


def record_metrics(
    runs: Mapping[str, Sequence[TrainingResult]], dataset: Dataset, named: str = "{}"
) -> tuple[dict[str, list[PairDistances]], pd.DataFrame, pd.DataFrame]:
    """Measure trainings, keep their figures in this run's results, and return them.

    runs: name -> one run a seed; named: the form of the names in the files. Returns the distances
    by name, the panels from the study's pairs and those from all pairs, a row for each name.
    """
    found = {name: pair_distances.of_trained(of) for name, of in runs.items()}
    for name, of in runs.items():
        add_trainings(of, found[name])
    drawn, counted = metrics.sampled_table(found), metrics.all_pairs_table(found, dataset)
    add(drawn.rename(index=named.format), "panel-of-drawn")
    add(counted.rename(index=named.format), "panel")
    return found, drawn, counted


def merge(folders: Sequence[Path], target: Path) -> None:
    """Put the results of several notebooks into one folder, in their order.

    A table or a record that several wrote has each row once.
    """
    target.mkdir(parents=True, exist_ok=True)
    names = {path.name for folder in folders for path in folder.glob("*.*")} - {cache.USED_FILE}
    for name in sorted(names):
        paths = [f / name for f in (target, *folders) if (f / name).exists()]
        if len(paths) == 1:
            atomic_io.write_atomically(target / name, paths[0].read_bytes())
            continue
        if name.endswith(".csv"):  # as text: not a digit changes
            rows = pd.concat(pd.read_csv(p, dtype=str, keep_default_na=False) for p in paths)
            text = rows.fillna("").drop_duplicates().to_csv(index=False, lineterminator="\n")
        else:
            lines = [line for p in paths for line in p.read_text(encoding="utf-8").splitlines()]
            text = "\n".join(dict.fromkeys(lines)) + "\n"
        atomic_io.write_atomically(target / name, text.encode())


def save_facts(name: str, **facts: Any) -> None:
    """Write single figures to this run's results as JSON; a measured one as its five numbers."""
    text = json.dumps(facts, indent=1, sort_keys=True, allow_nan=False, default=_as_numbers)
    atomic_io.write_atomically(settings.results_dir() / f"{name}.json", f"{text}\n".encode())


def read_facts(name: str) -> dict[str, Any]:
    """Return the single figures of the report by name, measured ones as intervals."""
    path = settings.published_results_dir() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_as_interval)


def read_trainings() -> pd.DataFrame:
    """Return the trainings that this run has used so far, a row for each; read the report's own.

    `kind` names what was trained, `setting` numbers what it ran on from 1, and `on_the_way` says
    whether a longer training passed through this one, which then took no time of its own.
    """
    path = settings.published_results_dir() / cache.TRAININGS_FILE
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = []
    for record in {record["key"]: record for record in told}.values():
        experiment = _as_cells(record["config"])
        # only a training of the first study stores shorter ones on its way
        length = {"epochs": None} if "model" in experiment else {}
        row = {name: record.get(name) for name in ("seconds", "data", "machine", "precision")}
        row |= {"epochs": NUM_EPOCHS} | experiment | {"kind": record["kind"]}
        rows.append(row | {"same": json.dumps(experiment | length)})
    table = pd.DataFrame(rows)
    table["on_the_way"] = table["epochs"] < table.groupby("same")["epochs"].transform("max")
    described = [json.dumps(machine, sort_keys=True) for machine in table["machine"]]
    table["setting"] = pd.factorize(np.array(described))[0] + 1
    order = ["kind", "epochs", "seed"]
    return table.drop(columns="same").sort_values(order, kind="stable", ignore_index=True)


def _accuracies(run: TrainingResult, found: PairDistances) -> Iterable[dict[str, Any]]:
    experiment = run.record["config"]
    curves = {pair_set: found.sampled_curve(pair_set) for pair_set in SETS}
    tuned = curves["validation"].best_threshold
    thresholds = dict(zip(THRESHOLD_RULES, (0.5, experiment["margin"] / 2, tuned), strict=True))
    for pair_set, curve in curves.items():
        for rule, threshold in thresholds.items():
            row = {"set": pair_set, "rule": rule, "threshold": threshold}
            row |= {"accuracy": 100 * curve.accuracy(threshold), "AUC": curve.auc}
            yield _as_cells(experiment) | row


def _as_cells(experiment: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment's values as a CSV holds them: classes as digits, such as 3 6 7."""
    seen = experiment.get("seen")
    return experiment | ({"seen": " ".join(map(str, seen))} if seen else {})


def _as_table(table: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Return a table as its CSV holds it."""
    named = any(table.index.names)
    if isinstance(table, pd.DataFrame):
        plain = [not _holds_intervals(table.iloc[:, place]) for place in range(table.shape[1])]
        if any(plain) and not all(plain):
            table = table.set_index(list(table.columns[plain]), append=named)
            table = table.rename_axis(columns="figure")
    if _holds_intervals(table):
        return to_rows(table)
    return table.reset_index() if named else table


def _holds_intervals(table: pd.DataFrame | pd.Series) -> bool:
    return isinstance(table.to_numpy().ravel()[0] if table.size else None, Measurement | Interval)


def _add(rows: pd.DataFrame, name: str, key: list[str], instead_of: str = "") -> None:
    path = settings.results_dir() / f"{name}.csv"
    if path.exists():
        old = _read_csv(path)
        if instead_of:
            old = old[~old[instead_of].isin(rows[instead_of])]
        rows = pd.concat([old.astype(object), rows.astype(object)])
        rows = rows.where(rows.notna(), None)  # one way to say nothing: a NaN equals no None
    rows = rows.drop_duplicates(key, keep="last")
    save(rows.sort_values(instead_of or key, kind="stable"), name)


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a table back as it was written, to the last digit."""
    return pd.read_csv(path, dtype={"claim": str, "seen": str}, float_precision="round_trip")


def _as_numbers(figure: Measurement | Interval) -> dict[str, Any]:
    found = figure.interval if isinstance(figure, Measurement) else figure
    ends = {"low": found.low, "high": found.high} if found.has_ends else {"low": None, "high": None}
    return {"mean": found.mean, **ends, "seeds": found.seeds, "unit": found.unit}


def _as_interval(value: dict[str, Any]) -> Any:
    if list(value) != sorted(INTERVAL_COLUMNS):
        return value
    ends = (float("nan") if value[end] is None else value[end] for end in ("low", "high"))
    return Interval(value["mean"], *ends, value["seeds"], value["unit"])
