"""Local maxima, rises and late changes of a learning curve."""

from collections.abc import Sequence

import numpy as np


def count_rises(curve: Sequence[float]) -> int:
    """Count the epochs whose value is not below that of the previous epoch."""
    return int(np.sum(np.diff(curve) >= 0))


def find_bumps(curve: Sequence[float]) -> list[int]:
    """Find the local maxima: epochs, counted from 1, whose value exceeds both neighbours' values."""
    values = np.asarray(curve, dtype=float)
    is_bump = (values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])
    return (np.flatnonzero(is_bump) + 2).tolist()


def bump_excess(curve: Sequence[float], claimed: Sequence[int]) -> float:
    """Compare the rate of bumps near the claimed epochs with the rate elsewhere.

    Args:
        curve: One value per epoch.
        claimed: Epochs, counted from 1, that are said to have bumps.

    Returns:
        Bumps per epoch at most one epoch from a claimed one, minus bumps per other epoch: -1..1.
    """
    bumps = set(find_bumps(curve))
    inner = set(range(2, len(curve)))  # The first and the last epoch cannot be bumps.
    near = inner & {epoch + shift for epoch in claimed for shift in (-1, 0, 1)}
    rates = [len(bumps & part) / max(1, len(part)) for part in (near, inner - near)]
    return rates[0] - rates[1]


def late_change(curve: Sequence[float]) -> float:
    """Return the mean of the last third of a curve minus the mean of its middle third.

    Args:
        curve: One value per epoch, two or more; thirds of a number of epochs are rounded down.
    """
    values = np.asarray(curve, dtype=float)
    third = len(values) // 3
    return float(values[-max(third, 1) :].mean() - values[third : len(values) - third].mean())
