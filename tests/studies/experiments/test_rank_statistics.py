"""Agreement of two rankings: by the textbook's definitions, on numbers whose answer is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.studies.experiments.rank_statistics import (
    REFERENCE_SEEDS,
    agreement,
    estimate,
    kendall,
    pearson,
    reference,
    regret,
    spearman,
    tau_top,
)

level = st.integers(0, 4)


def textbook_tau_b(a: list[int], b: list[int]) -> float:
    """Concordant less discordant pairs, over the geometric mean of the pairs not tied in each."""
    pairs = list(itertools.combinations(range(len(a)), 2))
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in pairs]
    untied = sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs)
    return float(sum(x * y for x, y in signs) / math.sqrt(untied)) if untied else math.nan


@given(st.lists(st.tuples(level, level), min_size=2, max_size=9))
def test_kendall_is_tau_b_ties_and_all(pairs: list[tuple[int, int]]) -> None:
    a, b = map(list, zip(*pairs, strict=True))
    found = kendall(np.array(a, float), np.array(b, float))
    assert found == pytest.approx(textbook_tau_b(a, b), nan_ok=True)


def test_what_ranks_nothing_has_no_correlation() -> None:
    flat, rising = np.full(5, 0.5), np.arange(5.0)
    for correlation in (kendall, spearman, pearson):
        assert math.isnan(correlation(flat, rising))
        assert correlation(rising, rising**3) > 0.9
        assert correlation(rising, -(rising**3)) < -0.9
    assert kendall(rising, rising**3) == pytest.approx(1)
    assert spearman(rising, rising**3) == pytest.approx(1)
    assert pearson(rising, rising**3) < 1.0


def measured(
    n: int, seeds: int, noise: float, guess_noise: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A guess and `seeds` trainings of n architectures whose true accuracies are spread evenly."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.linspace(0.8, 0.9, n))
    guess = truth + guess_noise * rng.standard_normal(n)
    return guess, truth + noise * rng.standard_normal((seeds, n))


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for repeat in range(200):
        sample = rng.standard_normal(40)
        found = estimate(lambda i, s=sample: float(s[i].mean()), 40, seed=repeat, draws=200)
        held += found.low <= 0.0 <= found.high
        assert found.low <= found.value <= found.high
    assert 180 <= held <= 198  # of 200, where 95% is 190


def test_an_interval_is_the_middle_95_percent_of_the_resamples() -> None:
    """By numpy's own, of the same seed; another seed draws others."""
    rng = np.random.default_rng(3)
    drawn = [float(rng.integers(50, size=50).mean()) for _ in range(100)]
    found = estimate(lambda index: float(index.mean()), 50, seed=3, draws=100)
    assert (found.value, found.low, found.high) == (24.5, *np.percentile(drawn, (2.5, 97.5)))
    assert estimate(lambda index: float(index.mean()), 50, seed=4, draws=100) != found


def test_the_best_are_the_first_of_equals_and_at_least_two() -> None:
    truth = np.array([*range(8), *(9.0,) * 92])  # of 100: the quarter is of equals
    seen = np.arange(100.0)
    assert math.isnan(tau_top(seen, truth))  # what is equal ranks nothing
    truth[8:33] += np.arange(25) / 100  # the first 25 of them, in rising order
    assert tau_top(seen, truth) == pytest.approx(1.0)
    assert tau_top(np.array([3.0, 1.0, 2.0, 4.0]), np.arange(4.0)) == pytest.approx(
        1.0
    )  # the last two
    three = np.array([*range(9), 9.0, 11.0, 10.0])  # of 12: the order of three, not of two
    assert tau_top(np.arange(12.0), three) == pytest.approx(1 / 3)


def test_the_top_quarter_is_by_the_truth() -> None:
    """The four that are best in truth get the four worst guesses, in reverse."""
    truth = np.arange(16.0)
    guess = np.concatenate([truth[:12] + 4, [3, 2, 1, 0]])
    assert tau_top(guess, truth) == -1.0
    assert tau_top(truth, guess) == 1.0


def test_a_guess_as_good_as_one_training_is_not_told_from_it() -> None:
    guess, alone = measured(120, 5, noise=0.02, guess_noise=0.02)
    found = agreement(guess, alone[1:], pick=int(guess.argmax()), draws=100)
    assert found.difference is not None and found.reference is not None
    assert found.difference.low < 0 < found.difference.high
    assert found.tau_others is not None
    assert found.difference.value == pytest.approx(found.tau_others.value - found.reference.value)


def test_a_worse_guess_is_told_from_one_training() -> None:
    guess, alone = measured(120, 4, noise=0.01, guess_noise=0.05)
    found = agreement(guess, alone, pick=0, draws=100)
    assert found.difference is not None
    assert found.difference.high < 0
    assert (found.architectures, found.seeds) == (120, 4)
    assert -1 <= found.tau.low < found.tau.value < found.tau.high <= 1


def test_without_noise_all_is_one_and_the_best_has_no_regret() -> None:
    guess, alone = measured(30, 4, noise=0, guess_noise=0)
    best, worst = int(guess.argmax()), int(guess.argmin())
    found = agreement(guess, alone, pick=best, draws=20)
    for of in (found.tau, found.spearman, found.tau_others, found.reference):
        assert of is not None and (of.value, of.low, of.high) == pytest.approx((1, 1, 1))
    assert found.regret is not None and (found.regret.value, found.regret.better) == (0.0, 0.0)
    assert regret(worst, alone).value == pytest.approx(0.1)
    assert regret(worst, alone).better == 29 / 30


def test_regret_is_not_biased_by_the_luck_of_the_best() -> None:
    """All are equally good: whatever is picked costs nothing, though one of them looks best."""
    rng = np.random.default_rng(1)
    found = [regret(0, 0.9 + 0.01 * rng.standard_normal((4, 50))).value for _ in range(400)]
    naive = 0.01 * 2.25 / 2  # the expected largest of 50 means of four
    assert abs(np.mean(found)) < 0.002 < naive


def test_the_one_seed_may_be_measured_elsewhere() -> None:
    _, alone = measured(20, 4, noise=0.01, guess_noise=0)
    assert reference(alone, alone) == reference(alone)
    assert reference(alone, -alone) == pytest.approx(-reference(alone))


def test_what_needs_more_seeds_is_left_out() -> None:
    guess, alone = measured(12, 1, noise=0.01, guess_noise=0.01)
    found = agreement(guess, alone, pick=0, draws=10)
    assert (found.reference, found.difference, found.tau_others, found.regret) == (None,) * 4
    _, three = measured(12, REFERENCE_SEEDS - 1, noise=0.01, guess_noise=0.01)
    found = agreement(guess, three, pick=0, draws=10)
    assert found.reference is None and found.regret is not None
