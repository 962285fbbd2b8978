"""The mutants themselves: each is Python, and its tests are there."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.__main__ import EACH, ROOT
from tests.mutants.core import CORE
from tests.mutants.mutate import mutants


def test_the_nearest_tests_are_there() -> None:
    named = {f"tests/{name}.py" for names in CORE.values() for name in names}
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]


@pytest.mark.parametrize("file", CORE)
def test_a_mutant_is_python_and_another_program(file: str) -> None:
    """What is no Python is noticed by any test, and would count."""
    source = (ROOT / file).read_text("utf-8")
    some = mutants(file, source, EACH)
    assert 0 < len(some) <= EACH and len({mutant.line for mutant in some}) == len(some)
    before = ast.dump(ast.parse(source))
    for mutant in some:
        assert ast.dump(ast.parse(mutant.source)) != before, mutant
