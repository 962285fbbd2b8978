"""The speed of an answer, in words."""

from __future__ import annotations

import pytest

from hnas.cost.latency import Latency
from hnas.studies.run.speed import in_words


def took(seconds: float) -> Latency:
    return Latency(median=seconds, lowest=seconds, highest=seconds)


@pytest.mark.parametrize(
    ("winner", "objective", "offered"),
    [(4e-3, "flops", True), (2.1e-3, "flops", False), (4e-3, "latency", False)],
)
def test_a_winner_that_is_slower_is_told_and_the_objective_offered(
    winner: float, objective: str, offered: bool
) -> None:
    found = {"winner": took(winner), "all-global": took(2e-3)}
    said = in_words(found, "cpu", objective)
    assert said.startswith(
        f"One image takes the winner {1e3 * winner:.3g} ms and the all-global network 2 ms on cpu"
    )
    assert ("--objective latency" in said) == offered
