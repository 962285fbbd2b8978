"""Measuring simple models on the images of a search: its split, its size of images.

Settings (k, C) are chosen on held-out images. The chosen model is fitted again, to training and
held-out images together, and tested. So many images are used, the same share of every class:
CHOOSE at most to choose a setting, MOST at most for the last fit (an SVM has its own most).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hnas.baselines import features, models
from hnas.baselines.record import Baseline
from hnas.data import Data, Images
from hnas.scoring.metric import measured

CHOOSE = 2_000
MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class Simple:
    """A kind of simple model."""

    name: str
    features: Callable[[Tensor], Tensor]
    fit: Callable[[Tensor, Tensor, int, float], models.Predict]
    setting: str = ""
    """What is chosen."""
    settings: tuple[float, ...] = (0.0,)
    most: int = MOST
    """Images it is fitted to."""


KINDS = (
    Simple(name="majority guess", features=features.raw, fit=models.majority),
    Simple(name="k-NN", features=features.raw, fit=models.nearest, setting="k", settings=(1, 5)),
    Simple(
        name="logistic regression",
        features=features.raw,
        fit=models.logistic,
        setting="C",
        settings=(0.001, 0.01, 0.1),
    ),
    Simple(
        name="HOG + logistic regression",
        features=features.hog,
        fit=models.logistic,
        setting="C",
        settings=(0.001, 0.01, 0.1, 1.0),
    ),
    Simple(
        name="HOG + SVM",
        features=features.hog,
        fit=models.svm,
        setting="C",
        settings=(1.0, 10.0),
        most=5_000,
    ),
)
"""The simplest first."""


def measure(data: Data, test: Images, metric: str = "accuracy") -> Iterator[Baseline]:
    """Each of KINDS, fitted and tested by a metric of `hnas.scoring.metric`; on the CPU, without
    randomness."""
    classes = len(data.classes)
    train, held_out = data.train.to("cpu"), data.held_out.to("cpu")
    test, some = replace(test.to("cpu"), pixels=test.tensor().cpu()), sample(train, CHOOSE)
    judged, known = sample(held_out, CHOOSE), sample(_both(train, held_out), MOST)
    seen: dict[Callable[[Tensor], Tensor], tuple[Tensor, ...]] = {}
    for kind in KINDS:
        if kind.features not in seen:
            parts = (some, judged, known, test)
            seen = {kind.features: tuple(kind.features(part.tensor()) for part in parts)}
        x, z, all_x, tested = seen[kind.features]
        best, setting = -1.0, kind.settings[0]
        for each in kind.settings:
            found, _ = measured(metric, kind.fit(x, some.labels, classes, each)(z), judged.labels)
            if found > best:
                best, setting = found, each
        index = spread(known.labels, kind.most)
        model = kind.fit(all_x[index], known.labels[index], classes, setting)
        value, error = measured(metric, model(tested), test.labels)
        yield Baseline(
            name=kind.name,
            setting=f"{kind.setting} = {setting:g}" if kind.setting else "",
            images=len(index),
            accuracy=best,
            test_accuracy=value,
            test_error=error,
        )


def sample(images: Images, most: int) -> Images:
    """About `most` of the images, in memory: the same share of every class, at least one of each;
    all if there are no more."""
    taken = images.take(spread(images.labels, most))
    return replace(taken, pixels=taken.tensor())


def spread(labels: Tensor, most: int) -> Tensor:
    """The index of `sample`, int64 (m,), sorted."""
    n = len(labels)
    if n <= most:
        return torch.arange(n)
    order = labels.argsort(stable=True)
    ends = labels.bincount().cumsum(0)
    firsts = torch.cat([torch.zeros(1, dtype=torch.long), ends[:-1]])
    even = torch.arange(most) * n // most
    return order[torch.cat([even, firsts[firsts < ends]]).unique()].sort().values


def _both(train: Images, held_out: Images) -> Images:
    labels = torch.cat([train.labels, held_out.labels])
    return Images(pixels=torch.cat([train.tensor(), held_out.tensor()]), labels=labels)
