"""Results of the benchmark of training methods: seconds, speed-ups, and shares of the peak speed.

Each round measured every method once, one after the other. Ratios are taken within a round, and
every result is the median over the rounds.
"""

import json

import pandas as pd

from siamese_utils import settings

PRECISIONS = ("float32", "bfloat16")
STUDY_CODE = "Keras, two towers, float32"  # the 2019 implementation


def read() -> tuple[pd.DataFrame, dict[str, object]]:
    """Read the benchmark's files.

    Returns:
        A table with a row per method and round, and the description of the machine.

    Raises:
        FileNotFoundError: The benchmark has not been run.
    """
    machine = json.loads((settings.BENCHMARK / "machine.json").read_text(encoding="utf-8"))
    return pd.read_csv(settings.BENCHMARK / "epochs.csv"), machine


def seconds(epochs: pd.DataFrame) -> pd.DataFrame:
    """Compute the seconds per epoch: a row per method, columns median, lowest, highest."""
    return _over_rounds(_by_round(epochs))


def speedup(epochs: pd.DataFrame, reference: str = STUDY_CODE) -> pd.DataFrame:
    """Compute the speed of each method divided by that of a reference; columns as in `seconds`."""
    by_round = _by_round(epochs)
    return _over_rounds(by_round.rdiv(by_round[reference], axis=0))


def share_of_peak(epochs: pd.DataFrame, operations: float) -> pd.Series:
    """Compute the speed of each method in % of the speed of a matrix product.

    Args:
        epochs: As `read` returns it.
        operations: Floating-point operations of a training pass of one image.

    Returns:
        The median over the rounds, per method. The matrix product has the precision of the method
        and was measured in the same round.
    """
    parts = []
    for precision in PRECISIONS:
        rows = epochs[epochs["program"].str.contains(precision)]
        speed = operations * rows["passes"] / rows["seconds"]
        parts.append(rows.assign(share=100 * speed / rows[f"peak {precision}"]))
    shares = pd.concat(parts).groupby("program")["share"].median()
    return shares[epochs["program"].unique()]


def _by_round(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds per epoch: a row per round, a column per method."""
    table = epochs.pivot(index="round", columns="program", values="seconds")
    return table[epochs["program"].unique()]


def _over_rounds(by_round: pd.DataFrame) -> pd.DataFrame:
    summary = by_round.agg(["median", "min", "max"]).T
    return summary.set_axis(["median", "lowest", "highest"], axis="columns").rename_axis("program")
