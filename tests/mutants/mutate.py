"""Mutants of a source file: the same text with one small fault."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult},
    **{ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
}
Place = ast.expr | ast.stmt
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "zeros": "ones", "ones": "zeros"}
WORDS = re.compile(r"""\w+|[^\w\s()'"]""")
PASSED_OVER = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)
"""What a mutant leaves alone: the words of errors, and what only helps a reader."""


@dataclass(frozen=True)
class Mutant:
    """One fault in one file."""

    file: str
    line: int
    last: int
    """The lines, from 1, that are not as they were."""
    before: str
    """The line, or the lines, as they are, without indentation."""
    after: str
    source: str
    """The whole file with the fault."""
    is_swap: bool
    """The same words in another order, as two arguments that changed places: their types often tell
    at once, or nothing is another."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by in `survivors.md`, wherever the line moves."""
        return self.file, self.before, self.after


def mutants(file: str, source: str, most: int) -> list[Mutant]:
    """At most so many mutants of a file: by their hashes, so that an edit elsewhere in
    the file leaves most of them what they were, and no two of one line."""
    every: dict[int, Mutant] = {}
    lines = source.splitlines(keepends=True)
    tree = ast.parse(source)
    for node, text in _faults(tree.body, top=True):
        mutant = _mutant(file, lines, node, text)
        best = every.setdefault(mutant.line, mutant)
        every[mutant.line] = min(best, mutant, key=_order)
    return sorted(sorted(every.values(), key=_order)[:most], key=lambda each: each.line)


def _order(mutant: Mutant) -> tuple[bool, bytes]:
    return mutant.is_swap, hashlib.sha256("\0".join(mutant.key).encode()).digest()


def _mutant(file: str, lines: list[str], node: Place, text: str) -> Mutant:
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    assert node.end_col_offset is not None
    head = lines[first].encode()[: node.col_offset].decode()
    tail = lines[last].encode()[node.end_col_offset :].decode()
    before, after = "".join(lines[first : last + 1]), head + text + tail
    return Mutant(
        file=file,
        line=node.lineno,
        last=last + 1,
        before=" ".join(before.split()),
        after=" ".join(after.split()),
        source="".join([*lines[:first], after, *lines[last + 1 :]]),
        is_swap=sorted(WORDS.findall(before)) == sorted(WORDS.findall(after)),
    )


def _faults(nodes: list[ast.stmt], *, top: bool = False) -> Iterator[tuple[Place, str]]:
    """Each place and the text that is to stand there."""
    for node in nodes:
        if isinstance(node, PASSED_OVER) or (top and isinstance(node, ast.Assign | ast.AnnAssign)):
            continue  # numbers on the top are knobs
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield node, "pass"
        if isinstance(node, ast.AugAssign):
            yield node, "pass"
        if isinstance(node, ast.If | ast.While):
            yield node.test, f"(not ({ast.unparse(node.test)}))"
        for child in _children(node):
            if isinstance(child, ast.expr):
                yield from _in(child)
        for name in ("body", "orelse", "finalbody"):
            yield from _faults(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from _faults(handler.body)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Without annotations and decorators."""
    left_out = {"annotation", "returns", "decorator_list", "type_params"}
    for name, value in ast.iter_fields(node):
        if name not in left_out:
            yield from (each for each in (value if isinstance(value, list) else [value])
                        if isinstance(each, ast.AST))  # fmt: skip


def _in(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, PASSED_OVER) or _is_cast(node):
        return
    if (fault := _fault(node)) is not None:
        simple = isinstance(fault, ast.Constant | ast.Name | ast.Call | ast.Tuple)
        text = ast.unparse(fault)
        yield node, text if simple else f"({text})"
    for child in _children(node):
        if isinstance(child, ast.keyword) and child.arg == "strict":
            continue  # no tests for lengths that never differ
        for each in [child] if isinstance(child, ast.expr) else _children(child):
            if isinstance(each, ast.expr):
                yield from _in(each)


def _fault(node: ast.expr) -> ast.expr | None:
    """Another expression in the place of this one; None if none is known."""
    match node:
        case ast.Compare(left, [op], right):
            return ast.Compare(left, [_other(op)], right)
        case ast.BinOp(left, op, right) if type(op) in SWAPPED:
            return ast.BinOp(left, _other(op), right)
        case ast.BoolOp(op, values):
            return ast.BoolOp(_other(op), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return operand
        case ast.IfExp(test, body, orelse):
            return ast.IfExp(test, orelse, body)
        case ast.Tuple([first, second], ast.Load()) if not _sliced(first, second):
            return ast.Tuple([second, first], ast.Load())
        case ast.Constant(bool() as value):
            return ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            return ast.Constant(value + 1)
        case ast.Call(ast.Name(name), arguments, keywords) if name in NAMES:
            return ast.Call(ast.Name(NAMES[name]), arguments, keywords)
        case ast.Call(called, [first, second, *rest], keywords) if not _starred(first, second):
            return ast.Call(called, [second, first, *rest], keywords)
        case ast.Call(called, arguments, [*keywords, ast.keyword(arg=str(name))]):
            return None if name == "strict" else ast.Call(called, arguments, keywords)
    return None


def _other(op: ast.AST) -> Any:
    return SWAPPED[type(op)]()


def _is_cast(node: ast.expr) -> bool:
    """What does nothing when it runs."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast"


def _sliced(*nodes: ast.expr) -> bool:
    """What stands in brackets alone: elsewhere it would be no Python, which any test notices."""
    return any(isinstance(node, ast.Slice) for node in nodes)


def _starred(*nodes: ast.expr) -> bool:
    return any(isinstance(node, ast.Starred) for node in nodes)
