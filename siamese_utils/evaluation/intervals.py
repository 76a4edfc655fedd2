"""Measurements over seeds and test images, and their 95 % confidence intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

CONFIDENCE = 0.95
POWER, NUM_SIMULATIONS = 0.8, 20_000  # of `smallest_detectable`
DECIMALS = {"%": 2, "points": 2, "": 3}  # unit -> decimals in text
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval.

    Attributes:
        mean: Mean over the seeds.
        low: Lower end; NaN for a single seed.
        high: Upper end; NaN for a single seed.
        seeds: Number of seeds; 0 for a value that is no mean over seeds, such as a maximum.
        unit: "%", "points" (percentage points), another noun such as "epochs", or "" for a value
            in 0..1 and for a plain number.
        signed: Whether the value is a difference, which is shown with its sign.
    """

    mean: float
    low: float
    high: float
    seeds: int = 1
    unit: str = ""
    signed: bool = False

    @property
    def half_width(self) -> float:
        """Half the width of the interval: the number after the ± sign."""
        return (self.high - self.low) / 2

    @property
    def interval(self) -> "Interval":
        """The interval itself, so that it can stand for a Measurement."""
        return self

    @property
    def has_ends(self) -> bool:
        """Whether there is an interval, that is, more than one seed."""
        return not math.isnan(self.low)

    def __format__(self, spec: str) -> str:
        """Return the interval as text, with the decimals of its unit.

        Args:
            spec: "" gives the mean ± half width, or for a difference the signed mean and the
                interval. "±" gives the same with the unit, worded for a sentence. Any other
                specification, such as ".1f", formats the mean.
        """
        decimals = DECIMALS.get(self.unit, 3)
        if math.isnan(self.mean):
            return "–"
        if spec not in ("", "±"):
            return format(self.mean, spec).replace("-", MINUS)
        sign = "+" if self.signed else ""
        mean, low, high, half_width = (
            f"{value:{sign}.{decimals}f}".replace("-", MINUS)
            for value in (self.mean, self.low, self.high, self.half_width)
        )
        unit = f" {self.unit}" if self.unit else ""
        if not self.has_ends:
            return f"{mean}{unit} (one seed, no interval)" if spec else mean
        if self.signed:
            ends = f"({'95 % interval ' if spec else ''}{low} to {high})"
            return f"{mean}{unit if spec else ''} {ends}"
        return f"{mean} ± {half_width}{unit if spec else ''}"


@dataclass(frozen=True, eq=False)
class Measurement:
    """One metric, measured for each seed.

    The groups are disjoint sets of test images, the same for all metrics that are subtracted from
    each other. They add the variance over images to the interval; without groups the interval
    covers the variance over seeds only.

    Attributes:
        values: (seeds,), measured on all test images.
        groups: (seeds, groups), measured on each group of test images; None if there are no groups.
        unit: As in Interval.
        signed: As in Interval.
    """

    values: np.ndarray
    groups: np.ndarray | None = None
    unit: str = ""
    signed: bool = False

    def __sub__(self, other: "Measurement | float") -> "Measurement":
        """Return the difference paired by seed and group, or the difference from a number."""
        if not isinstance(other, Measurement):
            groups = None if self.groups is None else np.full_like(self.groups, other, float)
            other = Measurement(np.full_like(self.values, other, float), groups)
        both = self.groups is not None and other.groups is not None
        groups = self.groups - other.groups if both else None
        unit = "points" if self.unit == "%" else self.unit
        return Measurement(self.values - other.values, groups, unit, signed=True)

    def __mul__(self, factor: float) -> "Measurement":
        """Return the measurement scaled by a factor."""
        groups = None if self.groups is None else self.groups * factor
        return Measurement(self.values * factor, groups, self.unit, self.signed)

    @property
    def interval(self) -> Interval:
        """The mean over seeds with its interval over seeds, and over images if there are groups."""
        mean = float(np.mean(self.values))
        if self.groups is None:
            low, high = interval_over(self.values)
        else:
            low, high = crossed_interval(self.groups, mean)
        return Interval(mean, low, high, len(self.values), self.unit, self.signed)

    def __format__(self, spec: str) -> str:
        """Return the interval as text; `spec` is that of Interval."""
        return format(self.interval, spec)


def measurement(values: Sequence[float], unit: str = "", signed: bool = False) -> Measurement:
    """Return a measurement from one value per seed."""
    return Measurement(np.asarray(values, dtype=float), None, unit, signed)


def interval_over(values: Sequence[float]) -> tuple[float, float]:
    """Compute the 95 % interval of a mean over seeds with Student's t distribution.

    The seeds are the units of observation, since the pairs of one seed share the split and the
    initial weights.

    Args:
        values: One value per seed.

    Returns:
        The lower and the upper end; NaN for a single value.

    Raises:
        ValueError: There are no values.
    """
    values = np.asarray(values, dtype=float)
    n = values.size
    if not n:
        raise ValueError("an interval needs at least one value, one per seed; none was given")
    if n == 1:
        return math.nan, math.nan
    mean, quantile = float(values.mean()), special.stdtrit(n - 1, (1 + CONFIDENCE) / 2)
    half_width = float(quantile * values.std(ddof=1) / math.sqrt(n))
    return mean - half_width, mean + half_width


def prediction_interval(values: Sequence[float]) -> tuple[float, float]:
    """Compute the 95 % prediction interval for one more run, from Student's t distribution.

    Args:
        values: One value for each seed.

    Returns:
        The lower and the upper end: the mean -/+ t s sqrt(1 + 1/n); NaN for a single seed. The
        fewer the seeds, the wider it is.
    """
    low, high = interval_over(values)
    mean, half_width = (low + high) / 2, (high - low) / 2
    # The half-width of the mean's interval is t s / sqrt(n).
    half_width *= math.sqrt(len(values) + 1)
    return mean - half_width, mean + half_width


def crossed_interval(values: np.ndarray, centre: float) -> tuple[float, float]:
    """Compute the 95 % interval of a mean over seeds and images, both sampled at random.

    The half-widths over seeds and over groups are added in quadrature. The interaction of seeds and
    groups counts in both, so the interval is conservative. The usual alternative, the pigeonhole
    bootstrap (Owen 2007), covers far less than 95 % with few seeds, as the tests show.

    Args:
        values: (seeds, groups), measured for each seed on each group of images.
        centre: The mean that the interval is for.

    Returns:
        The lower and the upper end; NaN for a single seed or group.
    """
    values = np.asarray(values, dtype=float)
    if min(values.shape) < 2:
        return math.nan, math.nan
    intervals = [interval_over(values.mean(axis=axis)) for axis in (0, 1)]
    half_width = math.hypot(*((high - low) / 2 for low, high in intervals))
    return centre - half_width, centre + half_width


def smallest_detectable(difference: Measurement) -> float:
    """Simulate the smallest true difference that is significant with a probability of 80 %.

    Args:
        difference: A measured difference. The simulation takes its numbers of seeds and groups, and
            normal values with its standard deviations over them.

    Returns:
        The difference, in the unit of `difference`; NaN for a single seed.
    """
    samples = [difference.values]
    if difference.groups is not None:
        samples = [difference.groups.mean(axis=1), difference.groups.mean(axis=0)]
    if min(map(len, samples)) < 2:
        return math.nan
    rng = np.random.default_rng(0)
    mean, squares = np.zeros(NUM_SIMULATIONS), np.zeros(NUM_SIMULATIONS)
    for sample in samples:
        simulated = rng.normal(0, sample.std(ddof=1), (NUM_SIMULATIONS, len(sample)))
        quantile = special.stdtrit(len(sample) - 1, (1 + CONFIDENCE) / 2)
        mean += simulated.mean(axis=1)
        squares += quantile**2 * simulated.var(axis=1, ddof=1) / len(sample)
    return float(np.quantile(np.sqrt(squares) - mean, POWER))
