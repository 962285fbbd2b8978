"""Amounts as people write them: multiply-accumulates and times."""

from __future__ import annotations

import re
from fractions import Fraction

from hnas.cost.latency_table import milliseconds
from hnas.errors import InputError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


def parse_flops(value: object, name: str = "flops") -> int:
    """Multiply-accumulates from a whole number, or from text such as "250M" or "1.3G".

    Raises InputError, calling the value `name`, for anything that is not a whole number >= 1.
    """
    text = str(value).strip().upper() if type(value) in (int, str) else ""
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([KMGT]?)", text)
    if found:
        macs = Fraction(found[1]) * _UNITS[found[2]]
        if macs >= 1 and macs.denominator == 1:
            return int(macs)
    raise InputError(
        f"{name} must be a whole number of multiply-accumulates >= 1, or text with K, M, G or T "
        f'behind the number, such as "250M" or "1.3G"; got {value!r}'
    )


def parse_latency(value: object, name: str = "latency") -> str:
    """A time such as "2.5ms", in milliseconds; empty text stays: the plan's default.

    Raises InputError, calling the value `name`, for anything that is not a time of 1 ns or more.
    """
    text = value.replace(" ", "").lower() if isinstance(value, str) else "none"
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ns|us|ms|s)", text)
    if found and (spent := round(Fraction(found[1]) * _NANOSECONDS[found[2]])):
        return milliseconds(spent)
    if not text:
        return text
    raise InputError(
        f'{name} must be a time with its unit, ns, us, ms or s, such as "2.5ms"; got {value!r}'
    )


def nanoseconds(latency: str) -> int:
    """Of a time as `parse_latency` gives it."""
    return round(Fraction(latency.removesuffix("ms")) * _NANOSECONDS["ms"])
