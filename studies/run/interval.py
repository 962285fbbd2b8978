"""Intervals: a measured value and the range where it lies with CONFIDENCE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hnas.errors import InputError
from hnas.persist.record import restored

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and its range; nan if it does not exist, in JSON null."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, float | None]) -> Interval:
        """The inverse of `to_dict`. Raises InputError."""
        if not isinstance(value, Mapping):
            raise InputError(f"an interval must be an object, got {value!r}")
        return restored(cls, {name: math.nan if v is None else v for name, v in value.items()})


def wilson(count: int, of: int) -> Interval:
    """A share of independent things."""
    from scipy.stats import binomtest

    found = binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(value=count / of, low=float(found.low), high=float(found.high))


def interval(value: float, images: int, error: float | None) -> Interval:
    """A metric of 0 to 1 on so many images: Wilson's if it is a share of them, without an error of
    its own; else 1.96 standard errors both ways, within 0 to 1."""
    if error is None:
        return wilson(round(value * images), images)
    low, high = max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)
    return Interval(value=value, low=low, high=high)


def paired(apart: Sequence[int], images: int) -> Interval:
    """The difference of two shares of the same images; `apart` are those that count for the first
    alone, and for the second alone.

    Exact, given their sum (Clopper and Pearson 1934): it leaves out zero just if the two `differ`
    (`hnas.scoring.pairs`).
    """
    from scipy.stats import binomtest

    first, second = apart
    either = first + second
    if not either:
        return Interval(value=0.0, low=0.0, high=0.0)
    found = binomtest(first, either).proportion_ci(CONFIDENCE, method="exact")
    low, high = ((2 * float(share) - 1) * either / images for share in (found.low, found.high))
    return Interval(value=(first - second) / images, low=low, high=high)
