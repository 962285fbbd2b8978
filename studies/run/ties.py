"""Ties: scores that the images cannot tell apart."""

import math

from hnas.scoring.pairs import apart, differ
from hnas.studies.trials.record import Record


def standard_error(accuracy: float, images: int, measured: float | None = None) -> float:
    """Of an accuracy on so many images: as it was measured, or else binomial."""
    return math.sqrt(accuracy * (1 - accuracy) / images) if measured is None else measured


def is_tie(
    a: float, b: float, images: int, measured: tuple[float | None, float | None] = (None, None)
) -> bool:
    """Whether two accuracies on the same images cannot be told apart at 95%; their standard errors
    as they were `measured`, or else binomial.

    The error of the difference is that of independent samples, which is the most it can be: two
    networks mostly miss the same images.
    """
    of_a, of_b = measured
    error = math.hypot(standard_error(a, images, of_a), standard_error(b, images, of_b))
    return abs(a - b) <= 1.96 * error


def tied(a: Record, b: Record, images: int) -> bool:
    """Whether the scores of two trials on the same images cannot be told apart at 95%: by the
    images that one alone is right on, if these are known, else as `is_tie`."""
    if a.right and b.right:
        return not differ(apart(a.right, b.right))
    return is_tie(a.accuracy, b.accuracy, images, (a.error, b.error))
