"""Records as JSON: `recorded` writes a dataclass by its fields' names, `restored` reads it back.

A run, a training and an exported network are known by the values they were made from. A field that
was added later must not change the identity of what was made without it.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from hnas.errors import InputError

RecordT = TypeVar("RecordT")
_types = cache(get_type_hints)


def later(default: Any) -> Any:
    """A dataclass field that is younger than records that were written without it."""
    return field(default=default, metadata={"later": True})


def recorded(record: Any) -> dict[str, Any]:
    """The values of a dataclass by name, also of records inside it (by `to_dict`, if they have it).

    A field that came `later` is left out at its default: a record written before the field existed
    reads, compares and hashes as one written now.
    """
    return {
        f.name: _value(value)
        for f, value in ((f, getattr(record, f.name)) for f in fields(record))
        if "later" not in f.metadata or value != f.default
    }


def as_json(record: Any) -> dict[str, Any]:
    """The values of a dataclass as JSON gives them back: lists for tuples."""
    return cast(dict[str, Any], json.loads(json.dumps(recorded(record))))


def key_of(values: Mapping[str, Any]) -> str:
    """A name for what is made from such JSON values: 12 hexadecimal digits of their hash."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _value(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(map(_value, value))
    if isinstance(value, Mapping):
        return {key: _value(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if not is_dataclass(value):
        return value
    return value.to_dict() if hasattr(value, "to_dict") else recorded(value)


def restored(kind: type[RecordT], value: object) -> RecordT:
    """The inverse of `recorded`, also by way of JSON; records with a `from_dict` are read by it.

    Raises InputError naming the field that is missing, unknown or of another type.
    """
    return cast(RecordT, _record(kind, value, ""))


def _record(kind: Any, value: object, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f"{name or kind.__name__} must be an object, got {_short(value)}")
    known = {f.name: f for f in fields(kind)}
    needed = {f.name for f in known.values() if f.default is f.default_factory is MISSING}
    if unknown := sorted(set(map(str, value)) - set(known)):
        raise InputError(f"{name or kind.__name__} has no field {', '.join(unknown)}")
    if missing := sorted(needed - set(value)):
        raise InputError(f"{name or kind.__name__} lacks the field {', '.join(missing)}")
    dot = f"{name}." if name else ""
    values = {key: _restore(_types(kind)[key], each, f"{dot}{key}") for key, each in value.items()}
    return _made(lambda: kind(**values), name)


def _restore(kind: Any, value: Any, name: str) -> Any:
    """The value of a field of this type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        [kind] = (each for each in inner if each is not NoneType)
        return None if value is None else _restore(kind, value, name)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_restore(inner[0], each, f"{name}[{i}]") for i, each in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {key: _restore(inner[1], each, f"{name}.{key}") for key, each in value.items()}
    if origin is np.ndarray:
        return _array(get_args(inner[1])[0], value, name)
    if hasattr(kind, "from_dict"):
        return _made(lambda: kind.from_dict(value), name)
    if is_dataclass(kind):
        return _record(kind, value, name)
    if kind is float and type(value) is int and abs(value) < 2**1000:
        return float(value)
    if kind is not Any and type(value) is not kind:
        raise InputError(f"{name} must be {getattr(kind, '__name__', kind)}, got {_short(value)}")
    return value


def _array(kind: type[np.generic], value: object, name: str) -> Any:
    with suppress(ValueError, OverflowError):  # ragged, or too large
        if isinstance(value, list) and ((found := np.array(value)).dtype == kind or not found.size):
            return found.astype(kind)
    raise InputError(f"{name} must be a list of {kind.__name__}, got {_short(value)}")


def _made(make: Any, name: str) -> Any:
    """Whatever `make` makes; its InputError names the field."""
    try:
        return make()
    except InputError as error:
        raise InputError(f"{name}: {error}" if name else str(error)) from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
