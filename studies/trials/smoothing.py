"""Smoothed scores: what all scores of a study say of each of its networks.

A score of a few hundred images is mostly noise among the best. A ridge regression on the sizes of
every block, one column for each value (one-hot), takes from each network what chance gave it alone.
The loss on the same images, smoothed, ranks better than accuracy, which knows only right and wrong.
It misses how blocks depend on each other, so it counts only if it predicts scores that it has not
seen: cross-validated, better than their mean by a margin. docs/ranking.md shows what that is worth.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnas.architecture.arch import Arch
from hnas.studies.objective.costs import minimised
from hnas.studies.trials.encoding import SIZES, value
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.record import Record

Numbers = NDArray[np.float64]

LEAST = 30
"""Trials: fewer are not smoothed."""
FOLDS = 10
MARGIN = 0.1
"""Cross-validated R2 from which it counts: chance passes it in a twentieth of LEAST trials, and in
hardly any sixty."""
SMOOTHED = {"smoothed": "accuracy", "smoothed-loss": "loss"}
"""What of a trial is smoothed, by what a plan's `pick` says."""
PENALTIES = np.logspace(-2, 4, 25)
"""Of ridge; the best by leaving one trial out is taken."""


@dataclass(frozen=True, kw_only=True)
class Smoothed:
    """The scores of a study's trials, or their losses, smoothed."""

    what: str
    """`accuracy`, or `loss`: then lower is better."""
    r2: float
    """Share of the variance of scores that scores of other trials explain: cross-validated."""
    scores: Numbers
    """(trials,), in the order of the trials."""
    errors: Numbers
    """(trials,) their standard errors, of scores without noise that add up over the blocks."""
    numbers: tuple[int, ...]
    """(trials,) of the trials."""

    @property
    def counts(self) -> bool:
        """Whether it is worth more than the scores as they are."""
        return self.r2 > MARGIN

    @property
    def name(self) -> str:
        """As the head of a column."""
        return "smoothed" if self.what == "accuracy" else "smoothed loss"

    @property
    def words(self) -> str:
        """What the scores are, in two sentences."""
        return (
            f"{self.name.capitalize()}: the {'score' if self.what == 'accuracy' else 'loss'} that "
            "a ridge regression on the sizes of all trials predicts; the best are picked by it. It "
            f"explains {self.r2:.0%} of the variance of those that it was not fitted to."
        )

    def of(self, some: Iterable[Record]) -> dict[int, tuple[float, float]]:
        """Score and standard error of some of the trials, by number."""
        values = zip(self.scores.tolist(), self.errors.tolist(), strict=True)
        known = dict(zip(self.numbers, values, strict=True))
        return {one.number: known[one.number] for one in some}


def smoothed(trials: Sequence[Record], what: str = "accuracy") -> Smoothed | None:
    """The trials' scores, or their losses, smoothed; None if they are too few, or all alike."""
    y = np.array([getattr(trial, what) for trial in trials])
    x = _one_hot([trial.arch for trial in trials])
    if len(y) < LEAST or not np.isfinite(y).all() or not np.ptp(y) or not x.shape[1]:
        return None
    found = _Ridge(x, y)
    return Smoothed(
        what=what,
        r2=_held_out(x, y),
        scores=found.predict(x),
        errors=found.errors(x),
        numbers=tuple(trial.number for trial in trials),
    )


def picking(trials: Sequence[Record], pick: str) -> Smoothed | None:
    """The smoothed scores that trials are picked by; None if the plan's `pick` is another, or if
    they do not count."""
    found = smoothed(trials, SMOOTHED[pick]) if pick in SMOOTHED else None
    return found if found and found.counts else None


def picked(
    trials: Sequence[Record], top: int, objective: str, smooth: Smoothed | None
) -> list[Record]:
    """The `top` trials of best smoothed score, if there is one that counts, or else of highest
    score. Of equal ones the cheaper is first, then the earlier."""
    if smooth is None or not smooth.counts:
        return best_by_score(trials, top, objective)
    scores, sign = smooth.of(trials), 1 if smooth.what == "loss" else -1
    ranked = sorted(
        trials, key=lambda t: (sign * scores[t.number][0], minimised(t, objective), t.number)
    )
    return ranked[:top]


def _one_hot(archs: Sequence[Arch]) -> Numbers:
    """(architectures, columns): 1 if a block has a value, for all but values that all have."""
    rows = [[value(block, size) for block in arch.blocks for size in SIZES] for arch in archs]
    columns = [
        [its == each for its in column]
        for column in zip(*rows, strict=True)
        for each in sorted(set(column), key=str)
        if len(set(column)) > 1
    ]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(rows)).T


def _held_out(x: Numbers, y: Numbers) -> float:
    """R2 of trials that are predicted from those of other folds, as their mean is."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    ours, means = np.empty_like(y), np.empty_like(y)
    for each in range(FOLDS):
        held = fold == each
        ours[held] = _Ridge(x[~held], y[~held]).predict(x[held])
        means[held] = y[~held].mean()
    return float(1 - ((y - ours) ** 2).sum() / ((y - means) ** 2).sum())


class _Ridge:
    """A ridge regression with an intercept, its penalty by leaving each row out in turn."""

    def __init__(self, x: Numbers, y: Numbers) -> None:
        self._middle, self._mean = x.mean(axis=0), y.mean()
        u, s, self._vt = np.linalg.svd(x - self._middle, full_matrices=False)
        kept = s > 1e-9 * s.max(initial=0.0)
        u, s, self._vt = u[:, kept], s[kept], self._vt[kept]
        along = u.T @ (y - self._mean)
        best = np.inf
        for penalty in PENALTIES:
            shrunk = s**2 / (s**2 + penalty)
            residual = y - self._mean - u @ (shrunk * along)
            left_out = residual / (1 - 1 / len(y) - (u**2) @ shrunk).clip(1e-9)
            if (mean := float((left_out**2).mean())) < best:
                best, self._weights = mean, self._vt.T @ (shrunk / s * along)
                self._spread = 1 / np.sqrt(s**2 + penalty)
        self._variance, self._rows = best, len(y)

    def predict(self, x: Numbers) -> Numbers:
        found: Numbers = self._mean + (x - self._middle) @ self._weights
        return found

    def errors(self, x: Numbers) -> Numbers:
        """Standard errors of what is predicted: those of the posterior that a ridge regression is
        the mean of, so that they cover its shrinkage too (Rasmussen and Williams 2006, 2.1)."""
        along = ((x - self._middle) @ self._vt.T) * self._spread
        found: Numbers = np.sqrt(self._variance * (1 / self._rows + (along**2).sum(axis=1)))
        return found
