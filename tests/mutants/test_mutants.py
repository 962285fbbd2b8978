"""The mutants themselves: each is Python, and its tests are there."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.__main__ import EACH, ROOT
from tests.mutants.by_hand import BY_HAND, ByHand, by_hand_mutant
from tests.mutants.core import CORE, nodes_of
from tests.mutants.mutate import mutants


def test_the_nearest_tests_are_there() -> None:
    for name in {name for file in CORE for name in nodes_of(file)}:
        path, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / path).read_text("utf-8"), name


@pytest.mark.parametrize("fault", BY_HAND, ids=lambda fault: fault.what)
def test_a_fault_made_by_hand_has_its_place_and_its_test(fault: ByHand) -> None:
    source = (ROOT / fault.file).read_text("utf-8")
    assert source.count(fault.before) == 1
    mutated = by_hand_mutant(fault, ROOT).source
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(source))
    file, _, name = fault.test.partition("::")
    assert f"def {name}" in (ROOT / "tests" / file).read_text("utf-8")


@pytest.mark.parametrize("file", CORE)
def test_a_mutant_is_python_and_another_program(file: str) -> None:
    """What is no Python is noticed by any test, and would count."""
    source = (ROOT / file).read_text("utf-8")
    some = mutants(file, source, EACH)
    assert 0 < len(some) <= EACH and len({mutant.line for mutant in some}) == len(some)
    before = ast.dump(ast.parse(source))
    for mutant in some:
        assert ast.dump(ast.parse(mutant.source)) != before, mutant
