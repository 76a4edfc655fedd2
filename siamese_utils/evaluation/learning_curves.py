"""Where a learning curve rises for a moment."""

from collections.abc import Sequence

import numpy as np


def count_rises(curve: Sequence[float]) -> int:
    """Return how many epochs end no lower than the one before."""
    return int(np.sum(np.diff(curve) >= 0))


def find_bumps(curve: Sequence[float]) -> list[int]:
    """Return the epochs, counted from 1, whose value is above that of both their neighbours."""
    values = np.asarray(curve, dtype=float)
    inner = (values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])
    return (np.flatnonzero(inner) + 2).tolist()


def bump_excess(curve: Sequence[float], claimed: Sequence[int]) -> float:
    """Return how much more often a curve has a bump near the claimed epochs than elsewhere, -1..1.

    Near means at most one epoch away; rates are bumps per epoch.
    """
    bumps = set(find_bumps(curve))
    inner = set(range(2, len(curve)))  # the epochs with two neighbours
    near = inner & {epoch + shift for epoch in claimed for shift in (-1, 0, 1)}
    rates = [len(bumps & part) / max(1, len(part)) for part in (near, inner - near)]
    return rates[0] - rates[1]
