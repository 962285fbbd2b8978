"""Amounts as people write them: multiply-accumulates and times."""

import re
from fractions import Fraction

from hnas.cost.latency_table import milliseconds
from hnas.errors import InputError

_MACS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


def parse_flops(value: object, name: str = "flops") -> int:
    """Multiply-accumulates from a whole number, or from text such as "250M" or "1.3G".

    Raises InputError, calling the value `name`, for anything that is not a whole number >= 1.
    """
    text = str(value).strip().upper() if type(value) in (int, str) else ""
    macs = _amount(text, _MACS)
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
    if not text:
        return text
    if spent := round(_amount(text, _NANOSECONDS)):
        return milliseconds(spent)
    raise InputError(
        f'{name} must be a time with its unit, ns, us, ms or s, such as "2.5ms"; got {value!r}'
    )


def nanoseconds(latency: str) -> int:
    """Of a time as `parse_latency` gives it."""
    return round(_amount(latency, _NANOSECONDS))


def _amount(text: str, units: dict[str, int]) -> Fraction:
    """A number and its unit; 0 if the text is not both."""
    found = re.fullmatch(rf"([0-9]{{1,18}}(?:\.[0-9]{{1,18}})?)({'|'.join(units)})", text)
    return Fraction(found[1]) * units[found[2]] if found else Fraction(0)
