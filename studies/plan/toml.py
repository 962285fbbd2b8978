"""Plans as TOML text: presets, files, and the inverse."""

import json
import math
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, cast, get_type_hints

from hnas.errors import InputError
from hnas.persist.atomic import read_regular
from hnas.persist.words import did_you_mean
from hnas.studies.plan.plan import Plan

PRESETS = (
    *("digits", "fashion-mnist", "cifar10"),
    *("glit-tiny", "glit-tiny-release", "glit-small", "glit-base"),
)
"""The plans that come with hnas."""
LARGEST, DOTS = 2**16, 100
"""Most bytes of a plan's file, and dots of a line: `tomllib` takes the square of a dotted key's
length, and more."""


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises InputError naming the file."""
    try:
        return from_toml(read_regular(path, LARGEST).decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"the plan {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"the plan {path} must be UTF-8 text") from None
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def load_preset(name: str) -> Plan:
    """A plan that comes with hnas. Raises InputError for an unknown name."""
    return from_toml(preset_text(name))


def preset_text(name: str) -> str:
    """A preset as it is written, comments and all. Raises InputError for an unknown name."""
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}; {did_you_mean(name, PRESETS)}")
    path = resources.files("hnas.studies.plan") / "presets" / f"{name}.toml"
    return path.read_text("utf-8")


def from_toml(text: str) -> Plan:
    """The plan in a TOML text. Raises InputError naming table.key, the rule and the value."""
    for number, line in enumerate(text.split("\n"), 1):
        if (dots := line.count(".")) > DOTS and not line.lstrip().startswith("#"):
            most = f"a plan's line may have at most {DOTS} dots"
            raise InputError(f"{most}, line {number} has {dots:,}")
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a plan must be TOML: {error}") from None
    return from_values(value)


def from_values(tables: dict[str, Any]) -> Plan:
    """The plan in the tables of a TOML text. Raises InputError as `from_toml` does."""
    return cast(Plan, _record(Plan, tables, ""))


def to_toml(plan: Plan) -> str:
    """The resolved plan, every default written out; `from_toml` gives it back."""
    return "\n\n".join(_tables(plan, "")) + "\n"


def toml_value(value: object) -> str:
    """A value of a plan as TOML."""
    # Of a plan's values JSON differs from TOML in one thing: it leaves DEL as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_KINDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    tuple[int, ...]: "a list of whole numbers",
    tuple[float, ...]: "a list of numbers",
}


def _record(kind: type[Any], value: object, at: str) -> Any:
    """A frozen record from the table named `at` (the plan itself has no name)."""
    if not isinstance(value, dict):
        raise InputError(f"{at} must be a table, got {value!r}")
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    prefix = f"{at}." if at else ""
    for name in value:
        if name not in known:
            raise InputError(f"{prefix}{name} is not part of a plan; {did_you_mean(name, known)}")
    for name, f in known.items():
        if f.default is MISSING and name not in value:
            raise InputError(f"{prefix}{name} is needed and is missing")
    made = {}
    for name, given in value.items():
        read = known[name].metadata.get("read", partial(_value, hints[name]))
        made[name] = read(given, prefix + name)
    try:
        return kind(**made)
    except InputError as error:
        raise type(error)(f"{prefix}{error}") from None


def _value(kind: Any, value: Any, at: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, value, at)
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if kind == tuple[int, ...] and type(value) is list and all(type(v) is int for v in value):
        return tuple(value)
    if kind == tuple[float, ...] and type(value) is list:
        return tuple(_value(float, one, f"{at}[{i}]") for i, one in enumerate(value))
    if type(value) is kind and (kind is not float or math.isfinite(value)):
        return value
    raise InputError(f"{at} must be {_KINDS[kind]}, got {value!r}")


def _tables(record: Any, at: str) -> Iterator[str]:
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    inner = {name: value for name, value in values.items() if is_dataclass(value)}
    lines = [f"[{at}]"] if at else []
    for name, value in values.items():
        if value is not None and name not in inner:
            lines.append(f"{name} = {toml_value(value)}")
    if lines:
        yield "\n".join(lines)
    for name, value in inner.items():
        yield from _tables(value, f"{at}.{name}" if at else name)
