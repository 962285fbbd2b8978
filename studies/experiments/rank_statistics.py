"""Statistics of rankings: how well one measurement orders architectures as another does.

Pure functions of numbers, for n architectures and S seeds. `guess` (n,) is the judged measurement,
an inherited score. `alone` (S, n) is the accuracy of each architecture trained alone, a row a seed.
A measurement with one value for all architectures orders nothing: its correlations are nan.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hnas.studies.run.interval import Interval
from hnas.studies.run.ranking import Agreement, Regret

Numbers: TypeAlias = NDArray[np.float64]

DRAWS = 1000
"""Bootstrap samples of an interval."""
REFERENCE_SEEDS = 4
"""One seed against the mean of at least three others."""
TOP = 0.25
"""Share of the architectures, the best by standalone accuracy, that `tau_top` is taken among."""


def kendall(a: Numbers, b: Numbers) -> float:
    """tau-b, -1 to 1."""
    return _correlation(lambda: stats.kendalltau(a, b).statistic, a, b)


def spearman(a: Numbers, b: Numbers) -> float:
    """The correlation of ranks, -1 to 1."""
    return _correlation(lambda: stats.spearmanr(a, b).statistic, a, b)


def pearson(a: Numbers, b: Numbers) -> float:
    """The linear correlation, -1 to 1."""
    return _correlation(lambda: np.corrcoef(a, b)[0, 1], a, b)


def _correlation(of: Callable[[], float], a: Numbers, b: Numbers) -> float:
    return float(of()) if np.ptp(a) > 0 and np.ptp(b) > 0 else float("nan")


def estimate(
    statistic: Callable[[NDArray[np.intp]], float], n: int, *, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """`statistic(index)` of all n architectures, and its spread over `draws` resamples of them."""
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(n, size=n)) for _ in range(draws)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Interval(value=statistic(np.arange(n)), low=float(low), high=float(high))


def tau_top(guess: Numbers, truth: Numbers) -> float:
    """tau among the best by `truth`: the share TOP of them, at least two."""
    count = max(2, round(TOP * len(truth)))
    best = np.argsort(-truth, kind="stable")[:count]
    return kendall(guess[best], truth[best])


def tau_others(guess: Numbers, alone: Numbers) -> float:
    """tau of the guess with the mean of the other seeds, averaged over the seed left out."""
    return float(np.mean([kendall(guess, others) for _, others in _one_and_others(alone)]))


def reference(alone: Numbers, guesses: Numbers | None = None) -> float:
    """tau of one seed with the mean of the others, averaged over the one.

    `guesses` (S, n) is what the one seed gave on the images of a score (other images than those
    of `alone`); by default the same.
    """
    one = alone if guesses is None else guesses
    return float(np.mean([kendall(one[s], others) for s, others in _one_and_others(alone)]))


def _one_and_others(alone: Numbers) -> list[tuple[int, Numbers]]:
    return [(s, np.delete(alone, s, axis=0).mean(axis=0)) for s in range(len(alone))]


def regret(pick: int, alone: Numbers) -> Regret:
    """Of architecture `pick`; needs two seeds, of which it was not picked."""
    gaps = [float(alone[s, rest.argmax()] - alone[s, pick]) for s, rest in _one_and_others(alone)]
    mean = alone.mean(axis=0)
    return Regret(
        value=float(np.mean(gaps)),
        standard_error=float(np.std(gaps, ddof=1) / np.sqrt(len(gaps))),
        better=float(np.mean(mean > mean[pick])),
    )


def agreement(
    guess: Numbers,
    alone: Numbers,
    *,
    pick: int,
    guesses: Numbers | None = None,
    draws: int = DRAWS,
) -> Agreement:
    """All of it. `pick` is the architecture that a search takes by the guess; `guesses` as in
    `reference`."""
    seeds, n = alone.shape
    truth = alone.mean(axis=0)
    of = partial(estimate, n=n, draws=draws)

    def one(index: NDArray[np.intp]) -> float:
        return reference(alone[:, index], None if guesses is None else guesses[:, index])

    def others(index: NDArray[np.intp]) -> float:
        return tau_others(guess[index], alone[:, index])

    referable = seeds >= REFERENCE_SEEDS
    return Agreement(
        architectures=n,
        seeds=seeds,
        tau=of(lambda i: kendall(guess[i], truth[i])),
        spearman=of(lambda i: spearman(guess[i], truth[i])),
        pearson=of(lambda i: pearson(guess[i], truth[i])),
        tau_top=of(lambda i: tau_top(guess[i], truth[i])),
        tau_others=of(others) if referable else None,
        reference=of(one) if referable else None,
        difference=of(lambda i: others(i) - one(i)) if referable else None,
        regret=regret(pick, alone) if seeds > 1 else None,
    )
