"""Conclusions: a sentence names what differs from chance, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hnas.studies.findings.conclusion import conclusion
from hnas.studies.findings.findings import Findings, Order, Share
from hnas.studies.findings.importances import Importances


def share(what: str, count: int, p: float) -> Share:
    ends = {"low": 0.0, "high": 1.0, "chance_low": 0.0, "chance_high": 1.0}
    return Share(what=what, count=count, of=10, chance=0.5, p=p, **ends)


def order(trend: float, trend_p: float, turns_p: float) -> Order:
    return Order(
        trend=trend, trend_p=trend_p, turns=2, turns_chance=1, turns_p=turns_p, neighbours=3
    )


def importance(name: str, value: float) -> Importances:
    return Importances(method="fANOVA", values={"b02.E": 0.01, name: value}, chance=0.1)


PLAIN = Findings(
    of="stage1",
    elites="planted",
    networks=10,
    kinds=(share("global", 9, 0.2), share("mixed", 5, 0.9), share("local", 2, 0.06)),
    kernels=(share("K = 3", 1, 0.05),),
    depth=(0.5,),
    depth_chance=(0.5,),
    order=order(0.9, 0.06, 0.05),
)


def test_what_is_as_by_chance_is_no_trait() -> None:
    assert conclusion(PLAIN) == (
        "stage1: nothing that the best have in common differs from chance."
    )
    assert conclusion(replace(PLAIN, kinds=(), order=None)) == conclusion(PLAIN)


def test_the_best_of_no_others_have_nothing_in_common() -> None:
    """A search of one generation: its table shows what was drawn."""
    found = replace(PLAIN, trials=10, order=order(0.9, 0.01, 0.05))
    assert conclusion(found) == (
        "stage1: the best are all of its 10 trials, so that nothing sets them apart: more trials "
        "tell more."
    )
    assert "with depth" in conclusion(replace(found, trials=11))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"kinds": (share("global", 9, 0.01), share("mixed", 8, 0.04), share("local", 1, 0.01))},
            "the best have global blocks and mixed blocks more often than by chance; "
            "the best have local blocks more seldom than by chance",
        ),
        (
            {"kinds": (share("skipped", 1, 0.01),)},
            "the best have skipped blocks more seldom than by chance",
        ),
        ({"kernels": (share("K = 9", 9, 0.01),)}, "the best have K = 9 more often than by chance"),
        ({"order": order(0.5, 0.01, 1)}, "their blocks get more global with depth"),
        ({"order": order(-0.5, 0.01, 1)}, "their blocks get more local with depth"),
        ({"order": order(0.5, 1, 0.01)}, "local and global blocks alternate with depth"),
    ],
)
def test_what_differs_is_named(changed: dict[str, object], said: str) -> None:
    assert conclusion(replace(PLAIN, **changed)) == f"stage1: {said}."  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (importance("b12.K", 0.3), "most on the kernel of block 12"),
        (importance("b01.d_k.global", 0.3), "most on the width of the queries of block 1"),
        (importance("b03.G", 0.1), "clearly on no parameter"),
    ],
)
def test_what_the_score_depends_on_most_is_named(measured: Importances, said: str) -> None:
    assert conclusion(replace(PLAIN, importances=measured)).endswith(f"; the score depends {said}.")
