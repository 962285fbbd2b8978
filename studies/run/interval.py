"""Intervals: a measured value and the range where it lies with CONFIDENCE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.errors import InputError

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and its range; nan if it does not exist, in JSON null."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> Interval:
        """The inverse of `to_dict`. Raises InputError."""
        names = ("value", "low", "high")
        if not isinstance(value, Mapping) or set(value) != set(names):
            raise InputError(f"an interval must have {', '.join(names)}, got {value!r}")
        if wrong := [one for one in value.values() if one is not None and type(one) is not float]:
            raise InputError(f"an interval must have numbers or null, got {wrong[0]!r}")
        return Interval(
            **{name: math.nan if value[name] is None else value[name] for name in names}
        )


def wilson(count: int, of: int) -> Interval:
    """A share of independent things."""
    from scipy.stats import binomtest

    found = binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(value=count / of, low=float(found.low), high=float(found.high))
