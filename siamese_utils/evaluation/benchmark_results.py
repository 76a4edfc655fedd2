"""What a benchmark of several ways says: seconds, ratios, and how near they come to the limit.

Each way was measured once in each round, one after the other: ratios are taken inside a round, and
a figure is the median over the rounds, beside the lowest and the highest.
"""

import json

import pandas as pd

from siamese_utils import settings

PRECISIONS = ("float32", "bfloat16")
STUDY_CODE = "Keras, two towers, float32"  # the way of 2019


def read() -> tuple[pd.DataFrame, dict[str, object]]:
    """Return the rounds, a row for each way, and the machine. Raises FileNotFoundError."""
    machine = json.loads((settings.BENCHMARK / "machine.json").read_text(encoding="utf-8"))
    return pd.read_csv(settings.BENCHMARK / "epochs.csv"), machine


def seconds(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds of an epoch of each way: a row each, columns median, lowest, highest."""
    return _over_rounds(_by_round(epochs))


def speedup(epochs: pd.DataFrame, than: str = STUDY_CODE) -> pd.DataFrame:
    """Return how many times as fast as another each way is; shape as of `seconds`."""
    by_round = _by_round(epochs)
    return _over_rounds(by_round.rdiv(by_round[than], axis=0))


def share_of_peak(epochs: pd.DataFrame, operations: float) -> pd.Series:
    """Return how much of the speed of a matrix product each way reaches, in %: a figure each.

    operations: floating-point ones of a training pass of one image. The limit is that of the way's
    own precision in the same round, and the figure the median over the rounds.
    """
    parts = []
    for kind in PRECISIONS:
        of_kind = epochs[epochs["way"].str.contains(kind)]
        speed = operations * of_kind["passes"] / of_kind["seconds"]
        parts.append(of_kind.assign(share=100 * speed / of_kind[f"peak {kind}"]))
    shares = pd.concat(parts).groupby("way")["share"].median()
    return shares[epochs["way"].unique()]


def _by_round(epochs: pd.DataFrame) -> pd.DataFrame:
    table = epochs.pivot(index="round", columns="way", values="seconds")
    return table[epochs["way"].unique()]


def _over_rounds(by_round: pd.DataFrame) -> pd.DataFrame:
    found = by_round.agg(["median", "min", "max"]).T
    return found.set_axis(["median", "lowest", "highest"], axis="columns").rename_axis("way")
