"""What files and identities hold of a record, so that what is older than one of its fields goes on.

A run, a training and an exported network are known by the values they were made from. A field that
is added later must not make another run, training or network of what was made without it.
"""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass
from typing import Any


def later(default: Any) -> Any:
    """A dataclass field that is younger than records that were written without it."""
    return field(default=default, metadata={"later": True})


def recorded(record: Any) -> dict[str, Any]:
    """A dataclass's values by name, records inside it too.

    A field that came `later` is left out at its default: what was written before there was it
    reads, compares and hashes as what is written now.
    """
    return {
        f.name: _value(value)
        for f in fields(record)
        if (value := getattr(record, f.name)) != f.default or "later" not in f.metadata
    }


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_value, value))
    return recorded(value) if is_dataclass(value) else value
