"""Compute every verdict of a report again, from the values behind it, with pandas and SciPy alone.

    python tests/recompute_verdicts.py reports/results

It prints the stored and the recomputed verdict of each claim, and exits with status 1 if two verdicts
or two intervals differ. It shares no code with the package.
"""

import json
import math
import sys
from pathlib import Path

import pandas as pd
from scipy import stats

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"
WORST_FIRST = (REFUTED, INCONCLUSIVE, SUPPORTED)
NO_GROUP = -1
ROUNDING = 1e-12


TABLES = {
    "claims": "claim-values",
    "panel": "panel-values",
    "panel-of-drawn": "panel-of-drawn-values",
}


def read(folder, name="claims"):
    """Return a table and the values behind it; values of all test images have the group NO_GROUP."""
    rows, values = (
        pd.read_csv(Path(folder, f"{file}.csv"), dtype={"claim": str})
        for file in (name, TABLES[name])
    )
    return rows, values.fillna({"group": NO_GROUP})


def half_width(values):
    """Half the width of the 95 % interval of a mean, by Student's t; NaN for one value."""
    n = len(values)
    return stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n) if n > 1 else math.nan


def summarise(values):
    """The mean of the ungrouped values, and the ends of its 95 % interval."""
    every, grouped = values[values["group"] == NO_GROUP], values[values["group"] != NO_GROUP]
    half = half_width(every["value"].to_numpy())
    if len(grouped):
        table = grouped.pivot(index="seed", columns="group", values="value").to_numpy()
        half = math.hypot(half_width(table.mean(axis=1)), half_width(table.mean(axis=0)))
    mean = every["value"].to_numpy().mean()
    return mean, mean - half, mean + half


def interval(values):
    return summarise(values)[1:]


def half_minus(fixed, tuned):
    """Half of the one difference minus the other, row by row; without groups if either has none."""
    both = fixed.merge(tuned, on=["seed", "group"], suffixes=("", "_tuned"))
    return both.assign(value=both["value"] / 2 - both["value_tuned"])


def by_sign(ends, sign, smallest_effect=0.0):
    low, high = sorted(sign * end for end in ends)
    if high < smallest_effect - ROUNDING:
        return REFUTED
    return SUPPORTED if low > ROUNDING else INCONCLUSIVE


def by_range(ends, accepted):
    low, high = accepted[0] - ROUNDING, accepted[1] + ROUNDING
    if low <= ends[0] and ends[1] <= high:
        return SUPPORTED
    return REFUTED if ends[1] < low or ends[0] > high else INCONCLUSIVE


def verdict_on(rows, values):
    """The verdict on one claim: `rows` are its metrics, `values` the values of each by its role."""
    rule, sign, smallest_effect = rows.iloc[0][["rule", "sign", "smallest_effect"]]
    if rule == "value":
        candidates = {}
        for row in rows[rows["role"] == "value"].itertuples():
            name = row.metric.removesuffix(", first epoch").removesuffix(", last epoch")
            verdict = by_range(interval(values[row.metric]), (row.accepted_low, row.accepted_high))
            candidates.setdefault(name, []).append(verdict)
        worst = [min(of, key=WORST_FIRST.index) for of in candidates.values()]
        return max(worst, key=WORST_FIRST.index)
    of = {row.role: values[row.metric] for row in rows.itertuples()}
    if rule == "sign":
        return by_sign(interval(of["difference"]), sign, smallest_effect)
    verdict = by_sign(interval(of["fixed"]), sign, smallest_effect)
    removed = by_sign(interval(half_minus(of["fixed"], of["tuned"])), sign)
    return "threshold effect" if verdict == removed == SUPPORTED else verdict


def recompute(folder):
    """Return claim -> verdict, from the values in a folder of results."""
    rows, values = read(folder)
    # The values of 2019 apply to all images of Fashion-MNIST, and are not judged on others.
    of_2019 = {"dataset": "fashion-mnist", "profile": "full"}
    report = Path(folder, "report.json")
    run = json.loads(report.read_text(encoding="utf-8")) if report.exists() else of_2019
    found = {}
    for number, of_claim in rows.groupby("claim", sort=False):
        by_figure = dict(list(values[values["claim"] == number].groupby("metric")))
        found[number] = verdict_on(of_claim, by_figure)
        if of_claim["rule"].iloc[0] == "value" and any(run[key] != of_2019[key] for key in of_2019):
            found[number] = INCONCLUSIVE
    return found


def wrong_intervals(folder):
    """Return the stored means and ends that are not those of the values."""
    wrong = []
    for name in TABLES:
        if not Path(folder, f"{TABLES[name]}.csv").exists():
            continue
        rows, values = read(folder, name)
        labels = [column for column in values if column not in ("seed", "group", "value")]
        stored = rows.set_index(labels)[["mean", "low", "high"]]
        for label, of_row in values.groupby(labels, sort=False):
            for was, found in zip(
                stored.loc[label].to_numpy().ravel(), summarise(of_row), strict=True
            ):
                same = math.isclose(was, found, rel_tol=1e-9, abs_tol=1e-9)
                if not (same or (math.isnan(was) and math.isnan(found))):
                    wrong.append(f"{', '.join(label)}: {was} stored, {found} recomputed")
    return wrong


def main(folder):
    stored = read(folder)[0].groupby("claim", sort=False)["verdict"].agg(set)
    found, wrong = recompute(folder), wrong_intervals(folder)
    for number, verdict in found.items():
        same = stored[number] == {verdict}
        print(
            f"{number:3} {', '.join(stored[number]):17} {verdict:17}{'' if same else ' DIFFERENT'}"
        )
    print("\n".join(wrong), end="\n" * bool(wrong))
    return int(bool(wrong) or any(stored[number] != {verdict} for number, verdict in found.items()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
