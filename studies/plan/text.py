"""Plans as text to edit: TOML with a comment for each key, or a preset's text with other values."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache, reduce
from itertools import pairwise, zip_longest
from typing import Any, get_type_hints

from hnas.persist.difference import MISSING, differences
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml, to_toml, toml_value

COLUMN, WIDTH = 24, 100
"""Where comments begin, and where lines end if they can."""

_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s"#\[]+)"""
_LINE = re.compile(rf"(?:# )?(?P<key>\w+) = {_VALUE}(?P<rest>\s*(?:#.*)?)")
"""A value of a plan, its comment, and perhaps a sign that it is only an example."""


def commented(plan: Plan) -> str:
    """The plan as TOML, each key with what it means; `from_toml` gives it back."""
    notes, lines, table = dict(_notes()), [], ""
    written = to_toml(plan).splitlines()
    for line, following in zip_longest(written, written[1:], fillvalue=""):
        table = line.strip("[]") if line.startswith("[") else table
        key = line.partition(" = ")[0]
        lines.append(_line(line, notes.pop(table if key == line else f"{table}.{key}", "")))
        if line and not following:
            lines += [
                _line(f"# {name} =", notes[f"{table}.{name}"]) for name in _unset(plan, table)
            ]
    return "\n".join(lines) + "\n"


def _unset(plan: Plan, table: str) -> list[str]:
    """The keys of a table that have no value."""
    values = vars(reduce(getattr, table.split("."), plan))
    return [name for name, value in values.items() if value is None]


def edited(text: str, plan: Plan) -> str:
    """A preset's text with the values of this plan; comments and what is equal stay."""
    asked = differences(asdict(from_toml(text)), asdict(plan))
    lines = text.splitlines()
    for name, (_, value) in asked.items():
        table, _, key = name.rpartition(".")
        _put(lines, table, key, None if value == MISSING else value)
    return "\n".join(lines) + "\n"


def _put(lines: list[str], table: str, key: str, value: object) -> None:
    """Writes a value to its table: over the one that is there, or the example of one, or behind."""
    heads = [i for i, line in enumerate(lines) if line.startswith("[")]
    begins = next((i for i in heads if lines[i].startswith(f"[{table}]")), None)
    if begins is None:
        lines += ["", f"[{table}]", f"{key} = {toml_value(value)}"]
        return
    ends = next((i for i in heads if i > begins), len(lines))
    for i in range(begins + 1, ends):
        if (found := _LINE.fullmatch(lines[i])) and found["key"] == key:
            comment = found["rest"].strip()
            new = f"{key} = {toml_value(value)}" if value is not None else f"# {key}: unset"
            lines[i] = f"{new:{COLUMN}}{'' if len(new) < COLUMN else '  '}{comment}".rstrip()
            return
    last = max(i for i in range(begins, ends) if lines[i].strip())
    lines.insert(last + 1, f"{key} = {toml_value(value)}")


def _line(text: str, note: str) -> str:
    """A line with its comment behind it, wrapped below itself."""
    if not note:
        return text
    begin = f"{text:{COLUMN}}" if len(text) < COLUMN else f"{text}  "
    first, *more = textwrap.wrap(note, max(WIDTH - len(begin) - 2, 30))
    rest = textwrap.wrap(" ".join(more), WIDTH - COLUMN - 2)
    return "\n".join([f"{begin}# {first}", *(f"{'':{COLUMN}}# {line}" for line in rest)])


@cache
def _notes() -> Mapping[str, str]:
    """What the keys and tables of a plan mean: read off the source once."""
    return dict(_meanings(Plan, "", set()))


def _meanings(kind: type[Any], at: str, told: set[object]) -> Iterator[tuple[str, str]]:
    """What the keys and tables of a record mean, by name; what several have in common, once."""
    own, hints = meanings(kind), get_type_hints(kind)
    for f in fields(kind):
        name, inner = f"{at}{f.name}", hints[f.name]
        if is_dataclass(inner):
            assert isinstance(inner, type)
            yield name, own.get(f.name) or _as_comment(inspect.getdoc(inner) or "")
            yield from _meanings(inner, f"{name}.", told)
        elif (kind, f.name) not in told:
            told.add((kind, f.name))
            yield name, own.get(f.name, "")


def meanings(kind: type[Any]) -> dict[str, str]:
    """What the fields of a record mean, by name: the strings below them in the source."""
    [made] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(made, ast.ClassDef)
    return {
        one.target.id: _as_comment(str(below.value.value))
        for one, below in pairwise(made.body)
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }


def _as_comment(text: str) -> str:
    """The first paragraph of a docstring, without its errors, as the end of a line."""
    words = " ".join(text.partition("\n\n")[0].split()).partition(" Raises ")[0].removesuffix(".")
    return words.replace("`", "").replace("None:", "unset:")
