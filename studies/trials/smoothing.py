"""Smoothed scores: what all scores of a study say of each of its networks.

A score of a few hundred images is mostly noise among the best. A ridge regression on the sizes of
every block, one column for each value (one-hot), takes from each network what chance gave it alone.
It misses how blocks depend on each other, so it counts only if it predicts scores that it has not
seen: it is cross-validated, and without doubt better than their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnas.architecture.arch import Arch
from hnas.studies.trials.encoding import SIZES
from hnas.studies.trials.record import Record

Numbers = NDArray[np.float64]

LEAST = 30
"""Trials: fewer are not smoothed."""
FOLDS = 10
MARGIN = 2.0
"""Standard errors that the cross-validated R2 must be above zero."""
PENALTIES = np.logspace(-2, 4, 25)
"""Of ridge; the best by leaving one trial out is taken."""


@dataclass(frozen=True, kw_only=True)
class Smoothed:
    """The scores of a study's trials, smoothed."""

    r2: float
    """Share of the variance of scores that scores of other trials explain: cross-validated."""
    error: float
    """Its standard error, over the trials."""
    scores: Numbers
    """(trials,), in the order of the trials."""
    errors: Numbers
    """(trials,) standard errors, of the regression alone."""

    @property
    def counts(self) -> bool:
        """Whether it is used: R2 is above zero by MARGIN standard errors."""
        return self.r2 > MARGIN * self.error


def smoothed(trials: Sequence[Record]) -> Smoothed | None:
    """The trials' scores, smoothed; None if they are too few, or all alike."""
    y = np.array([trial.accuracy for trial in trials])
    x = _one_hot([trial.arch for trial in trials])
    if len(y) < LEAST or not np.ptp(y) or not x.shape[1]:
        return None
    better, total = _better_than_the_mean(x, y)
    found = _Ridge(x, y)
    return Smoothed(
        r2=float(better.sum() / total),
        error=float(better.std(ddof=1) * np.sqrt(len(y)) / total),
        scores=found.predict(x),
        errors=found.errors(x),
    )


def _one_hot(archs: Sequence[Arch]) -> Numbers:
    """(architectures, columns): 1 if a block has a value, for all but values that all have."""
    rows = [[getattr(block, size) for block in arch.blocks for size in SIZES] for arch in archs]
    columns = [
        [value == each for value in column]
        for column in zip(*rows, strict=True)
        for each in sorted(set(column), key=str)
        if len(set(column)) > 1
    ]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(rows)).T


def _better_than_the_mean(x: Numbers, y: Numbers) -> tuple[Numbers, float]:
    """For each trial, by how much its squared error is less than that of the mean, both from the
    trials of other folds; and the sum of the latter's."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    ours, means = np.empty_like(y), np.empty_like(y)
    for each in range(FOLDS):
        held = fold == each
        ours[held] = _Ridge(x[~held], y[~held]).predict(x[held])
        means[held] = y[~held].mean()
    errors = (y - means) ** 2
    return errors - (y - ours) ** 2, float(errors.sum())


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
                self._spread = shrunk / s
        self._variance, self._rows = best, len(y)

    def predict(self, x: Numbers) -> Numbers:
        found: Numbers = self._mean + (x - self._middle) @ self._weights
        return found

    def errors(self, x: Numbers) -> Numbers:
        """Standard errors of what is predicted."""
        along = ((x - self._middle) @ self._vt.T) * self._spread
        found: Numbers = np.sqrt(self._variance * (1 / self._rows + (along**2).sum(axis=1)))
        return found
