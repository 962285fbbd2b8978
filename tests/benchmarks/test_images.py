"""How many held-out images a score needs, of scores whose reliability is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.ranking.images import ASKED, Reliability, line, reliabilities
from benchmarks.ranking.inherited import Scored


def scored(noise: float, n: int = 20_000) -> list[Scored]:
    """Scores of n architectures of deviation 1, and noise of each of two halves of 100 images."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=n)
    first, second = (true + noise * rng.normal(size=n) for _ in range(2))
    made = []
    for held_out, values in ((100, first), (200, (first + second) / 2), (50, second)):
        made.append(
            Scored(
                rule="uniform",
                seed=0,
                recalibration=32,
                held_out=held_out,
                accuracy=tuple(values),
                loss=tuple(values),
            )
        )
    return made


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_the_reliability_of_scores_of_known_noise_is_found(noise: float) -> None:
    [found] = reliabilities(scored(noise))
    assert found.half == 100
    for images in (100, 200, 3_200):
        expected = (1 / (1 + noise**2 * 100 / images)) ** 0.5
        assert found.with_endless(images) == pytest.approx(expected, abs=0.02)


def test_halves_that_disagree_tell_nothing() -> None:
    assert Reliability(half=250, between=-0.2).with_endless(250) == 0


def test_a_row_has_the_median_and_the_extremes() -> None:
    row = line("digits", [Reliability(half=100, between=r) for r in (0.5, 0.8, 0.9)])
    assert row.startswith("| digits, 3 scorings of 100 + 100 images | 0.988 (0.953 to 0.994) |")
    assert row.count("|") == 2 + len(ASKED)
