"""A measured figure with its interval: the one form in which results travel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

CONFIDENCE = 0.95
POWER, NUM_SIMULATIONS = 0.8, 20_000  # of the simulation of what can be found
DECIMALS = {"%": 2, "points": 2, "": 3}  # of each unit; a figure without a unit is 0..1
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval; `low` and `high` are NaN for one seed alone."""

    mean: float
    low: float
    high: float
    seeds: int = 1  # 0: a single value, such as a highest one, and no mean over seeds
    unit: str = ""  # "%", "points" (of %), or "" for what is 0..1 or a plain number
    signed: bool = False  # a difference, written with its sign

    @property
    def half_width(self) -> float:
        """Half the interval's width: the figure after the ± sign."""
        return (self.high - self.low) / 2

    @property
    def has_ends(self) -> bool:
        """Whether there is an interval at all."""
        return not math.isnan(self.low)

    def __format__(self, spec: str) -> str:
        """Return it as text, in places that fit its unit.

        "": mean ± half width, or for a difference the signed mean (and its interval); "±": the
        same with unit and words, for a sentence; else a format of the mean, such as ".1f".
        """
        places = DECIMALS.get(self.unit, 3)
        if math.isnan(self.mean):
            return "–"
        if spec not in ("", "±"):
            return format(self.mean, spec).replace("-", MINUS)
        sign = "+" if self.signed else ""
        mean, low, high, half = (
            f"{value:{sign}.{places}f}".replace("-", MINUS)
            for value in (self.mean, self.low, self.high, self.half_width)
        )
        unit = f" {self.unit}" if self.unit else ""
        if not self.has_ends:
            return f"{mean}{unit} (one seed, no interval)" if spec else mean
        if self.signed:
            ends = f"({'95 % interval ' if spec else ''}{low} to {high})"
            return f"{mean}{unit if spec else ''} {ends}"
        return f"{mean} ± {half}{unit if spec else ''}"


@dataclass(frozen=True, eq=False)
class Measurement:
    """One figure, measured with every seed: on all test images, and on each group of them.

    The groups share no image; the groups of two figures to be subtracted are the same. Without
    groups the interval speaks of the seeds alone.
    """

    whole: np.ndarray  # (seeds,)
    groups: np.ndarray | None = None  # (seeds, groups)
    unit: str = ""  # as in Interval
    signed: bool = False  # as in Interval

    def __sub__(self, other: "Measurement | float") -> "Measurement":
        """Return the paired difference, seed by seed and group by group, or that from a number."""
        if not isinstance(other, Measurement):
            groups = None if self.groups is None else np.full_like(self.groups, other, float)
            other = Measurement(np.full_like(self.whole, other, float), groups)
        both = self.groups is not None and other.groups is not None
        groups = self.groups - other.groups if both else None
        unit = "points" if self.unit == "%" else self.unit
        return Measurement(self.whole - other.whole, groups, unit, signed=True)

    def __mul__(self, factor: float) -> "Measurement":
        """Return so many times the figure."""
        groups = None if self.groups is None else self.groups * factor
        return Measurement(self.whole * factor, groups, self.unit, self.signed)

    @property
    def interval(self) -> Interval:
        """The mean over the seeds, with its interval over seeds, and over images where it has groups."""
        mean = float(np.mean(self.whole))
        if self.groups is None:
            low, high = interval_over(self.whole)
        else:
            low, high = crossed_interval(self.groups, mean)
        return Interval(mean, low, high, len(self.whole), self.unit, self.signed)

    def __format__(self, spec: str) -> str:
        """Return its interval as text."""
        return format(self.interval, spec)


def measurement(values: Sequence[float], unit: str = "", signed: bool = False) -> Measurement:
    """Return a figure from one value per seed."""
    return Measurement(np.asarray(values, dtype=float), None, unit, signed)


def interval_over(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of one value per seed, by Student's t.

    Seeds differ in their split, pairs and first weights, which the pairs of one seed share. Both
    ends are NaN for one value. Raises ValueError where there is none.
    """
    values = np.asarray(values, dtype=float)
    n = values.size
    if not n:
        raise ValueError("an interval needs at least one value")
    if n == 1:
        return math.nan, math.nan
    mean, quantile = float(values.mean()), special.stdtrit(n - 1, (1 + CONFIDENCE) / 2)
    half_width = float(quantile * values.std(ddof=1) / math.sqrt(n))
    return mean - half_width, mean + half_width


def crossed_interval(values: np.ndarray, centre: float) -> tuple[float, float]:
    """Return the 95 % interval of a mean over seeds and images that were both drawn at random.

    values: (seeds, groups), measured with each seed in each group of images; centre: the mean
    that the interval is for. The half-widths of the interval over seeds and of that over groups,
    by Student's t, are added as squares. What a seed and a group do together counts in both: too
    wide rather than too narrow. Both ends are NaN for one seed alone. The bootstrap over seeds and
    images that it replaces (Owen, The pigeonhole bootstrap, 2007) covers far less than it promises
    with so few seeds, as the tests show.
    """
    values = np.asarray(values, dtype=float)
    if min(values.shape) < 2:
        return math.nan, math.nan
    ends = [interval_over(values.mean(axis=axis)) for axis in (0, 1)]
    half_width = math.hypot(*((high - low) / 2 for low, high in ends))
    return centre - half_width, centre + half_width


def smallest_detectable(difference: Measurement) -> float:
    """Return the smallest true difference whose interval would lie above 0 in 80 of 100 reports.

    By simulation: normal draws as many as there are seeds, and groups where there are any, that
    spread as those of this difference do. NaN for one seed alone.
    """
    parts = [difference.whole]
    if difference.groups is not None:
        parts = [difference.groups.mean(axis=1), difference.groups.mean(axis=0)]
    if min(map(len, parts)) < 2:
        return math.nan
    rng = np.random.default_rng(0)
    mean, squares = np.zeros(NUM_SIMULATIONS), np.zeros(NUM_SIMULATIONS)
    for part in parts:
        drawn = rng.normal(0, part.std(ddof=1), (NUM_SIMULATIONS, len(part)))
        quantile = special.stdtrit(len(part) - 1, (1 + CONFIDENCE) / 2)
        mean += drawn.mean(axis=1)
        squares += quantile**2 * drawn.var(axis=1, ddof=1) / len(part)
    return float(np.quantile(np.sqrt(squares) - mean, POWER))
