"""Simple models: each is fitted to features and labels, and gives every class a score.

Shapes: n images, F features (float32), k classes.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 1000
"""Images at a time that are compared with all that a model was fitted to."""

Predict = Callable[[Tensor], Tensor]
"""Features (n, F) -> scores of the classes (n, k), the highest for the likeliest."""


def majority(x: Tensor, y: Tensor, classes: int, setting: float) -> Predict:
    """The most frequent class, whatever the image shows."""
    counts = torch.bincount(y, minlength=classes).float()
    return lambda z: counts.expand(len(z), -1)


def nearest(x: Tensor, y: Tensor, classes: int, setting: float) -> Predict:
    """Votes of the `setting` nearest images (Euclidean); of equal votes the nearer one's."""
    k = min(int(setting), len(x))
    votes = 1 - 1e-3 * torch.arange(k)

    def predict(z: Tensor) -> Tensor:
        found = [torch.cdist(part, x).topk(k, largest=False).indices for part in z.split(CHUNK)]
        kinds = F.one_hot(y[torch.cat(found)], classes).float()
        return (kinds * votes.view(1, -1, 1)).sum(dim=1)

    return predict


def logistic(x: Tensor, y: Tensor, classes: int, setting: float) -> Predict:
    """Multinomial logistic regression; `setting` is C, the inverse of its weight decay."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    centre, scale = x.mean(dim=0), _deviation(x)
    model = LogisticRegression(C=setting)
    with warnings.catch_warnings():
        # It stops after 100 steps: held-out images say what that is worth.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(((x - centre) / scale).numpy(), y.numpy())
    return lambda z: _scores(model, ((z - centre) / scale).numpy(), classes)


def svm(x: Tensor, y: Tensor, classes: int, setting: float) -> Predict:
    """Support vector machine of the kernel exp(-|a - b|^2 / variance), where the variance is that
    of all features together; `setting` is C."""
    from sklearn.svm import SVC

    width = x.shape[1] * _deviation(x) ** 2

    def kernel(z: Tensor) -> Any:
        return torch.exp(-(torch.cdist(z, x) ** 2) / width).double().numpy()

    model = SVC(C=setting, kernel="precomputed")
    model.fit(kernel(x), y.numpy())
    return lambda z: torch.cat([_scores(model, kernel(part), classes) for part in z.split(CHUNK)])


def _deviation(x: Tensor) -> float:
    """Of all features together from the mean of each: one scale, so that a feature which hardly
    ever changes stays small. 1 if none changes."""
    return float((x - x.mean(dim=0)).std(correction=0)) or 1.0


def _scores(model: Any, features: Any, classes: int) -> Tensor:
    """What a model of scikit-learn gives each class; a class that it has not seen comes last."""
    found = np.asarray(model.decision_function(features))
    if found.ndim == 1:  # two classes
        found = np.stack([-found, found], axis=1)
    scores = torch.full((len(found), classes), -torch.inf)
    scores[:, torch.from_numpy(model.classes_)] = torch.from_numpy(found).float()
    return scores
