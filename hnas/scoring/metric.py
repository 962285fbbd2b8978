"""Metrics: what a score measures, and its standard error.

accuracy       the share of images that are right
balanced       the mean over the classes of the share of each that is right
top5           the share of images whose class is among the five likeliest
f1             the mean over the classes of F1, the harmonic mean of precision and recall
module:function  of the user's own: (logits (n, classes), labels (n,)) -> 0 to 1

Classes without an image do not count. The error of a share is binomial (`None` here: it follows
from the value). That of a balanced accuracy is exact for independent images, from the share of each
class. Others draw the images again, RESAMPLES times, with replacement (Efron 1979).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hnas.data.sources.functions import function
from hnas.device import read
from hnas.errors import InputError
from hnas.settings import CODE

RESAMPLES = 100


def measured(metric: str, logits: Tensor, labels: Tensor) -> tuple[float, float | None]:
    """The value of a metric, 0 to 1, for logits (n, classes) and int64 labels (n,), and its
    standard error; None if that of a share of n images.

    Raises InputError if a function of the user's gives anything else.
    """
    if CODE.fullmatch(metric):
        value = _theirs(metric)
        return value(logits, labels), _bootstrap(value, logits, labels)
    return of_answers(metric, *read(answers(metric, logits), labels))


def answers(metric: str, logits: Tensor) -> Tensor:
    """What a metric that is no function of the user's needs of logits (n, classes), on their
    device: the class given to each image, int64 (n,); for top5 the five likeliest, (n, 5)."""
    if metric == "top5":
        return logits.topk(min(5, logits.shape[1]), dim=-1).indices
    return logits.argmax(-1)


def of_answers(metric: str, given: Tensor, labels: Tensor) -> tuple[float, float | None]:
    """`measured`, from `answers` and labels in the CPU's memory."""
    if metric == "accuracy":
        return int((given == labels).sum()) / len(labels), None
    if metric == "top5":
        return int((given == labels.unsqueeze(1)).sum()) / len(labels), None
    if metric == "balanced":
        return _balanced(given, labels)
    return _f1(given, labels), _bootstrap(_f1, given, labels)


def _balanced(given: Tensor, labels: Tensor) -> tuple[float, float]:
    images = labels.bincount().double()
    right = labels[given == labels].bincount(minlength=len(images)).double()
    shares, images = (right / images)[images > 0], images[images > 0]
    variance = (shares * (1 - shares) / images).sum()
    return float(shares.mean()), math.sqrt(float(variance)) / len(images)


def _f1(given: Tensor, labels: Tensor) -> float:
    k = 1 + int(torch.maximum(given.max(), labels.max()))
    shown = labels.bincount(minlength=k)
    right = labels[given == labels].bincount(minlength=k).double()
    return float((2 * right / (shown + given.bincount(minlength=k)))[shown > 0].mean())


def _bootstrap(value: Callable[[Tensor, Tensor], float], given: Tensor, labels: Tensor) -> float:
    """The deviation of a value over images drawn again; the same for the same images."""
    generator, n = torch.Generator().manual_seed(0), len(labels)
    values = []
    for _ in range(RESAMPLES):
        index = torch.randint(n, (n,), generator=generator).to(labels.device)
        values.append(value(given[index], labels[index]))
    return float(torch.tensor(values, dtype=torch.float64).std())


def _theirs(name: str) -> Callable[[Tensor, Tensor], float]:
    called = function(name)

    def value(logits: Tensor, labels: Tensor) -> float:
        found = called(logits, labels)
        try:
            number = float(found)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number <= 1:
            raise InputError(f"score.metric: {name} must give a number of 0 to 1, got {found!r}")
        return number

    return value
