"""Results as files: tables in CSV and single values in JSON, written and read back.

A measured value (a Measurement or an Interval) is written as five columns, INTERVAL_COLUMNS, so that
every number can be read back as a number.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
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

INTERVAL_COLUMNS = ["mean", "low", "high", "seeds", "unit"]
# name of a CSV file of the report -> its content, with the number of the page
FILES = {
    "ablation": "differences between dropout, penalties, both and neither (04)",
    "accuracy": "accuracy of each training run, test set and threshold (03 to 07)",
    "article": "the article's system as printed, and from scratch (07)",
    "auc-by-classes": "AUC of the base model for each combination of two classes (03)",
    "auc-by-classes-of-each": "AUC of each method for each combination of two classes (08)",
    "auc-by-duration": "AUC of the base model by class split and duration of training (08)",
    "auc-by-duration-differences": "AUC after training minus AUC before it (08)",
    "baseline-differences": "AUC of each method minus that of the base model (08)",
    "best-thresholds": "oracle threshold divided by the margin (05)",
    "checks": "all checks of the pages, and whether they hold",
    "claim-values": "the values of each seed, group or class split behind the verdicts",
    "claims": "the claims with their measured values, rules and verdicts",
    "class-splits": "AUC of the study's networks and of baselines, by class split (08)",
    "collapse": "scatter ratio, effective rank and AUC by epoch (10)",
    "embeddings": "changes of these metrics in periods of training (10)",
    "few-shot": "accuracy of classification from one and from five examples (07)",
    "five-optimizers": "AUC with five optimizers after a short training (06)",
    "headlines": "main values of the summary",
    "histories": "loss and accuracy of each training run and epoch (03 to 07)",
    "kinds-of-pairs": "accuracy by kind of pair (03)",
    "left-out-auc": "AUC on left-out seen classes, for the stopping rule (08)",
    "margin-differences": "margin 5 minus margin 1 (05)",
    "new-classes": "each method by class split and number of labelled images (09)",
    "new-classes-by-number": "AUC by the number of training classes (09)",
    "new-classes-digits": "the same as new-classes, on digits (09)",
    "new-classes-methods": "AUC of each method minus that of the retrained ensemble (09)",
    "new-classes-upper-bound": "the reference with all labels, by class split (09)",
    "optimizer-differences": "each optimizer minus RMSprop (06)",
    "optimizers": "accuracy and AUC with three optimizer settings (06)",
    "panel": "table of metrics on all pairs, with intervals (03 to 08)",
    "panel-of-drawn": "table of metrics on the study's (drawn) pairs, with intervals (03 to 07)",
    "panel-of-drawn-values": "the values of each seed behind panel-of-drawn",
    "panel-values": "the values of each seed and group of images behind panel",
    "probability": "quality of the probabilities of verifiers (11)",
    "recalibration": "the same after recalibration, by the number of labelled pairs (11)",
    "reference-differences-base": "reconstructed protocol minus our training, base model (03)",
    "reference-differences-complex": "the same, complex model (05)",
    "reference-runs": "the runs of the reconstructed protocol (03)",
    "replication": "accuracies of 2019 beside our means and prediction intervals (03 to 05)",
    "sizes": "numbers of images in the study's data sets (01)",
    "thresholds-of-networks": "accuracy at each threshold (03 to 05)",
    "trainings": "configuration, seconds and machine of each training run (12)",
    "transfer": "each encoder by number of training pairs (07)",
    "transfer-gains": "pretrained encoders minus others (07)",
    "untrained": "AUC of untrained base models with different initial weights (08)",
}
# Table -> the metrics whose values for each seed and group are saved too, in `NAME-values.csv`: from
# them the intervals of the summary can be computed again.
KEPT_VALUES = {"panel": ("AUC",), "panel-of-drawn": tuple(THRESHOLD_RULES.values())}
CONFIG_COLUMNS = [field.name for field in fields(TrainingConfig)]


def save(table: pd.DataFrame | pd.Series, name: str) -> None:
    """Write a table to this run's results as CSV.

    Args:
        table: Any table. Each measured value becomes a row: its labels, then INTERVAL_COLUMNS. The
            labels are the levels of a named index, the column names, and the columns without
            measured values.
        name: Name of the file without its suffix.
    """
    text = _as_rows(table).to_csv(index=False, lineterminator="\n")
    atomic_io.write_atomically(settings.results_dir() / f"{name}.csv", text.encode())


def add(table: pd.DataFrame | pd.Series, name: str, replace_by: str = "") -> None:
    """Add measured values to a CSV of this run; rows with the same labels are replaced.

    Args:
        table: A table as `save` takes it.
        name: Name of the file without its suffix.
        replace_by: A column. All earlier rows that share a value in it with the new rows are
            removed, and the new rows keep their order.
    """
    rows = _as_rows(table)
    key = [column for column in rows if column not in (*INTERVAL_COLUMNS, "verdict")]
    _add_rows(rows, name, key, replace_by)
    if name in KEPT_VALUES:
        values = _value_rows(table, KEPT_VALUES[name])
        _add_rows(values, f"{name}-values", [c for c in values if c != "value"])


def read(name: str) -> pd.DataFrame:
    """Return a table of the report by name.

    Raises:
        FileNotFoundError: The report has no such table.
    """
    return _read_csv(settings.published_results_dir() / f"{name}.csv")


def read_measurements(name: str, folder: Path | None = None) -> pd.Series:
    """Return the measured values of a table of the report.

    Args:
        name: Name of the file without its suffix.
        folder: The folder to read; None: this run's results, or the committed ones if there is no
            run.

    Returns:
        Labels -> Interval.
    """
    rows = _read_csv((folder or settings.published_results_dir()) / f"{name}.csv")
    labels = [column for column in rows if column not in INTERVAL_COLUMNS]
    numbers = rows[INTERVAL_COLUMNS].fillna({"unit": ""})
    intervals = [Interval(*row) for row in numbers.itertuples(index=False)]
    return pd.Series(intervals, index=pd.MultiIndex.from_frame(rows[labels]), dtype=object)


def _value_rows(table: pd.DataFrame, metrics: Collection[str]) -> pd.DataFrame:
    """Return the values behind some metrics of a table, as `values_of` returns them."""
    cells = table.stack(list(range(table.columns.nlevels)), future_stack=True)
    labels = cells.index.to_frame(index=False)
    parts = [
        pd.concat([pd.DataFrame([row] * len(values)), values], axis=1)
        for row, values in (
            (row, values_of(value))
            for row, value in zip(labels.to_dict("records"), cells, strict=True)
            if row["metric"] in metrics
        )
    ]
    return pd.concat(parts, ignore_index=True)


def to_rows(table: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Return a table of measured values as rows: index and column names, then INTERVAL_COLUMNS.

    Empty cells are left out.
    """
    if isinstance(table, pd.DataFrame):
        table = table.stack(list(range(table.columns.nlevels)), future_stack=True)
    table = table.dropna()
    intervals = [value.interval for value in table]
    labels = table.index.to_frame(index=False).rename(columns=str)
    numbers = pd.DataFrame(
        [[getattr(interval, name) for name in INTERVAL_COLUMNS] for interval in intervals],
        columns=INTERVAL_COLUMNS,
    )
    return pd.concat([labels, numbers], axis=1)


def values_of(value: Measurement) -> pd.DataFrame:
    """Return the values behind an interval, for a CSV from which it can be computed again.

    Args:
        value: A measured value.

    Returns:
        Columns `seed`, `group` and `value`. The rows without a group are measured on all test
        images: the mean is theirs. The others are measured on one group of images each, if the
        interval covers the variance over images.
    """
    rows = [(seed, None, v) for seed, v in enumerate(value.values)]
    if value.groups is not None:
        rows += [
            (seed, str(group), v)
            for seed, of_seed in enumerate(value.groups)
            for group, v in enumerate(of_seed)
        ]
    return pd.DataFrame(rows, columns=["seed", "group", "value"])


def add_trainings(results: Sequence[TrainingResult], distances: Sequence[PairDistances]) -> None:
    """Add training runs to accuracy.csv and histories.csv of this run's results.

    A row is identified by all fields of the config. Accuracy (in %) and AUC are measured on the
    study's pairs; the tuned threshold has the highest accuracy on the validation pairs.

    Args:
        results: The training runs.
        distances: The pair distances of each training run.
    """
    accuracies = pd.DataFrame(_accuracy_rows(results, distances))
    _add_rows(accuracies, "accuracy", [*CONFIG_COLUMNS, "set", "rule"])
    histories = []
    for result in results:
        history = pd.DataFrame(result.history).rename_axis("epoch").reset_index()
        history["epoch"] += 1
        config = {name: result.record["config"][name] for name in CONFIG_COLUMNS}
        histories.append(pd.DataFrame([_config_cells(config)] * len(history)).join(history))
    _add_rows(pd.concat(histories), "histories", [*CONFIG_COLUMNS, "epoch"])


def record_metrics(
    results: Mapping[str, Sequence[TrainingResult]], dataset: Dataset, row_format: str = "{}"
) -> tuple[dict[str, list[PairDistances]], pd.DataFrame, pd.DataFrame]:
    """Measure trained networks and add their metrics to this run's results.

    Args:
        results: Network -> one result for each seed.
        dataset: The data set, whose test pairs are all counted.
        row_format: Format of the network's name in the files.

    Returns:
        The pair distances of each network, the metrics on the study's pairs and those on all pairs,
        each with a row for each network.
    """
    distances = {name: pair_distances.of_trained(by_seed) for name, by_seed in results.items()}
    for name, by_seed in results.items():
        add_trainings(by_seed, distances[name])
    sampled = metrics.sampled_table(distances)
    all_pairs = metrics.all_pairs_table(distances, dataset)
    add(sampled.rename(index=row_format.format), "panel-of-drawn")
    add(all_pairs.rename(index=row_format.format), "panel")
    return distances, sampled, all_pairs


def merge(folders: Sequence[Path], target: Path) -> None:
    """Merge the results of several notebooks into one folder; repeated rows are written once.

    Args:
        folders: The notebooks' results, in the order of their rows.
        target: The folder to write; what it holds comes first.
    """
    target.mkdir(parents=True, exist_ok=True)
    names = {path.name for folder in folders for path in folder.glob("*.*")} - {cache.USED_FILE}
    for name in sorted(names):
        paths = [f / name for f in (target, *folders) if (f / name).exists()]
        if len(paths) == 1:
            atomic_io.write_atomically(target / name, paths[0].read_bytes())
            continue
        if name.endswith(".csv"):  # Cells are read as text, so that no digit changes.
            rows = pd.concat(pd.read_csv(p, dtype=str, keep_default_na=False) for p in paths)
            text = rows.fillna("").drop_duplicates().to_csv(index=False, lineterminator="\n")
        else:
            lines = [line for p in paths for line in p.read_text(encoding="utf-8").splitlines()]
            text = "\n".join(dict.fromkeys(lines)) + "\n"
        atomic_io.write_atomically(target / name, text.encode())


def save_facts(name: str, **facts: Any) -> None:
    """Write single values to this run's results as JSON.

    Args:
        name: Name of the file without its suffix.
        facts: The values by name. A measured value becomes an object of INTERVAL_COLUMNS.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    text = json.dumps(facts, indent=1, sort_keys=True, allow_nan=False, default=_interval_to_json)
    atomic_io.write_atomically(settings.results_dir() / f"{name}.json", f"{text}\n".encode())


def read_facts(name: str) -> dict[str, Any]:
    """Return the single values of a JSON file of the report, measured ones as intervals."""
    path = settings.published_results_dir() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_interval_from_json)


def read_trainings() -> pd.DataFrame:
    """Return the training runs that the report has used so far, one row each.

    Returns:
        The fields of the config and of the record. `kind` is the kind of training run, `setting`
        numbers the machines from 1, and `on_the_way` is true if the run was stored as a milestone
        of a longer one and so took no extra time.
    """
    path = settings.published_results_dir() / cache.TRAININGS_FILE
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = []
    for record in {record["key"]: record for record in records}.values():
        config = _config_cells(record["config"])
        # Only the study's networks, whose config has a model, are stored at milestones.
        length = {"epochs": None} if "model" in config else {}
        row = {name: record.get(name) for name in ("seconds", "data", "machine", "precision")}
        row |= {"epochs": NUM_EPOCHS} | config | {"kind": record["kind"]}
        rows.append(row | {"same": json.dumps(config | length)})
    table = pd.DataFrame(rows)
    table["on_the_way"] = table["epochs"] < table.groupby("same")["epochs"].transform("max")
    machines = [json.dumps(machine, sort_keys=True) for machine in table["machine"]]
    table["setting"] = pd.factorize(np.array(machines))[0] + 1
    order = ["kind", "epochs", "seed"]
    return table.drop(columns="same").sort_values(order, kind="stable", ignore_index=True)


def _accuracy_rows(
    results: Sequence[TrainingResult], distances: Sequence[PairDistances]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of accuracy.csv; rules that a task gives no meaning to are left out."""
    sampled = metrics.sampled_metrics(distances)
    for seed, (result, of_seed) in enumerate(zip(results, distances, strict=True)):
        config = result.record["config"]
        tuned = of_seed.sampled_curve("validation").best_threshold
        thresholds = {"0.5": 0.5, "m/2": config["margin"] / 2, "tuned": tuned}
        for pair_set in SETS:
            for rule, metric in THRESHOLD_RULES.items():
                accuracy = sampled[pair_set, metric].values[seed]
                if np.isfinite(accuracy):
                    row = {"set": pair_set, "rule": rule, "threshold": thresholds[rule]}
                    row |= {"accuracy": accuracy, "AUC": sampled[pair_set, "AUC"].values[seed]}
                    yield _config_cells(config) | row


def _config_cells(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config's fields as CSV cells: the seen classes become text such as "3 6 7"."""
    seen = config.get("seen")
    return config | ({"seen": " ".join(map(str, seen))} if seen else {})


def _as_rows(table: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Return a table as its CSV holds it."""
    named = any(table.index.names)
    if isinstance(table, pd.DataFrame):
        plain = [not _is_measured(table.iloc[:, i]) for i in range(table.shape[1])]
        if any(plain) and not all(plain):
            table = table.set_index(list(table.columns[plain]), append=named)
            table = table.rename_axis(columns="metric")
    if _is_measured(table):
        return to_rows(table)
    return table.reset_index() if named else table


def _is_measured(table: pd.DataFrame | pd.Series) -> bool:
    return isinstance(table.to_numpy().ravel()[0] if table.size else None, Measurement | Interval)


def _add_rows(rows: pd.DataFrame, name: str, key: list[str], replace_by: str = "") -> None:
    path = settings.results_dir() / f"{name}.csv"
    if path.exists():
        old = _read_csv(path)
        if replace_by:
            old = old[~old[replace_by].isin(rows[replace_by])]
        rows = pd.concat([old.astype(object), rows.astype(object)])
        # NaN and None are different keys, so a missing value must always be None.
        rows = rows.where(rows.notna(), None)
    rows = rows.drop_duplicates(key, keep="last")
    save(rows.sort_values(replace_by or key, kind="stable"), name)


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a table as it was written, to the last digit."""
    return pd.read_csv(
        path, dtype={"claim": str, "seen": str, "group": str}, float_precision="round_trip"
    )


def _interval_to_json(value: Measurement | Interval) -> dict[str, Any]:
    interval = value.interval
    low, high = (interval.low, interval.high) if interval.has_ends else (None, None)
    numbers = {"mean": interval.mean, "low": low, "high": high}
    return numbers | {"seeds": interval.seeds, "unit": interval.unit}


def _interval_from_json(value: dict[str, Any]) -> Any:
    if list(value) != sorted(INTERVAL_COLUMNS):
        return value
    ends = (float("nan") if value[end] is None else value[end] for end in ("low", "high"))
    return Interval(value["mean"], *ends, value["seeds"], value["unit"])
