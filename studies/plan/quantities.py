"""Amounts as people write them: multiply-accumulates, parameters, shares and times."""

import re
from fractions import Fraction

from hnas.cost.latency_table import milliseconds
from hnas.errors import InputError

_COUNTS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


def parse_flops(value: object, name: str = "flops") -> int:
    """Multiply-accumulates from a whole number, or from text such as "250M" or "1.3G".

    Raises InputError, calling the value `name`, for anything that is not a whole number >= 1.
    """
    return _count(value, name, "multiply-accumulates", '"250M" or "1.3G"')


def parse_params(value: object, name: str = "params") -> int:
    """Learned parameters, as `parse_flops` reads multiply-accumulates."""
    return _count(value, name, "parameters", '"5M" or "850K"')


def _count(value: object, name: str, what: str, such: str) -> int:
    text = str(value).strip().upper() if type(value) in (int, str) else ""
    count = _amount(text, _COUNTS)
    if count >= 1 and count.denominator == 1:
        return int(count)
    raise InputError(
        f"{name} must be a whole number of {what} >= 1, or text with K, M, G or T "
        f"behind the number, such as {such}; got {value!r}"
    )


def share_of(value: object) -> Fraction | None:
    """2/5 of text such as "40%"; None if the value is no share above 0."""
    return _amount(value.strip(), {"%": 1}) / 100 or None if isinstance(value, str) else None


def parse_time(value: object, name: str = "time") -> int:
    """Seconds of text such as "20m", "1.5h" or "1h30m".

    Raises InputError, calling the value `name`, for anything that is not a second or more.
    """
    text = value.replace(" ", "").lower() if isinstance(value, str) else ""
    parts = re.findall(r"[0-9.]+[a-z]+", text)
    if "".join(parts) == text and (seconds := round(sum(_amount(p, _SECONDS) for p in parts))):
        return seconds
    raise InputError(
        f'{name} must be a time with its unit, s, m, h or d, such as "20m" or "1h30m"; '
        f"got {value!r}"
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
