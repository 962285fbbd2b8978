"""Images given in Python: arrays, data sets as objects, several parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hnas.data import load, prepare, survey
from hnas.data.sources.given import give
from hnas.errors import InputError
from hnas.settings import DataRules

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (12, 6, 6, 3), dtype=np.uint8), np.arange(12) % 2


class Pairs:
    """A map-style data set, as torch.utils.data.Dataset is one."""

    def __init__(self, n: int, image: Callable[[int], Any], label: Callable[[int], Any]) -> None:
        self.n, self.image, self.label = n, image, label

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        return self.image(i), self.label(i)


class Rows(Pairs):
    """As Hugging Face's `datasets` has them."""

    features = {"label": SimpleNamespace(names=["cat", "dog"])}  # noqa: RUF012

    def __getitem__(self, i: int) -> Any:
        return {"image": self.image(i), "label": self.label(i), "id": i}


def picture(i: int) -> Image.Image:
    return Image.fromarray(X[i])


@pytest.mark.parametrize(
    "given",
    [
        (X, Y),
        (torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(Y)),
        (X.astype(np.float32) / 255, Y.tolist()),
        (X.astype(np.int64), np.array(["cat", "dog"])[Y]),
        Pairs(12, picture, lambda i: i % 2),
        Pairs(12, picture, lambda i: ("cat", "dog")[i % 2]),
        Pairs(12, lambda i: torch.from_numpy(X[i]).permute(2, 0, 1), lambda i: torch.tensor(i % 2)),
        Rows(12, picture, lambda i: i % 2),
        {"train": Rows(12, picture, lambda i: i % 2)},
        (X, Y + 1),
        Pairs(12, picture, lambda i: i % 2 + 1),
    ],
)
def test_they_are_a_source(given) -> None:
    name = give(given)
    assert give(given) == name
    source = load(name, image=6, channels=3)
    assert torch.equal(source.train.tensor(), torch.from_numpy(X).permute(0, 3, 1, 2))
    assert source.train.labels.tolist() == Y.tolist()
    assert source.classes in (("0", "1"), ("cat", "dog"), ("1", "2"))
    found = survey(name)
    assert (found.images, found.classes, found.side, found.channels) == (12, 2, 6, 3)


def test_the_arrays_stay_as_they_are_and_may_be_prepared_again() -> None:
    before = X.copy()
    rules = DataRules(source=give((X, Y)))
    (one, split), (two, again) = (prepare(rules, image=6, channels=3, seed=0) for _ in range(2))
    assert np.array_equal(X, before) and split.fingerprint == again.fingerprint
    assert one.train.fingerprint == two.train.fingerprint


def test_other_images_or_labels_have_another_name() -> None:
    other = X.copy()
    other[3, 2, 2, 1] ^= 1
    names = {give((X, Y)), give((other, Y)), give((X, 1 - Y)), give((X[:10], Y[:10]))}
    assert len(names) == 4


def test_parts() -> None:
    test = (X[:4], Y[:4])
    assert load(give((X, Y, *test)), image=6, channels=3).test is not None
    both = load(give({"train": (X, Y), "dev": test, "test": test}), image=6, channels=3)
    assert both.held_out == 4 and len(both.train) == 16 and both.test is not None
    one = load(give({"train": (X, Y), "validation": test}), image=6, channels=3)
    assert one.held_out == 0 and one.test is not None and "used as the test part" in one.notes[0]


def test_what_was_not_given_here_is_asked_for() -> None:
    with pytest.raises(InputError, match=r"give the same again: hnas\.search\(data=\.\.\., run="):
        load("python-0123456789ab", image=6, channels=3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X, "data must be a name, a folder, or (X, y)"),
        ((X, Y, X), "data must be a name, a folder, or (X, y)"),
        ({"training data": (X, Y)}, "data must be a name"),
        ((X / 255 - 0.5, Y), "Give them before they are normalised"),
        ((X, Y[:5]), "one for each of 12 images"),
        (Pairs(12, lambda i: RNG.random((6, 6)), lambda i: i % 2), "another image each time"),
        (Pairs(12, lambda i: X[i] / 255 - 2, lambda i: i % 2), "Give them before they are norm"),
    ],
)
def test_nonsense_is_named(given, message) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load(give(given), image=6, channels=3)
