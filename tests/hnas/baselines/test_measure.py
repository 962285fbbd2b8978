"""Simple models: right on what is easy, chosen by held-out images, fitted to what is said."""

from __future__ import annotations

import pytest
import torch

from hnas import data as images
from hnas.baselines import measure as measuring
from hnas.baselines import models
from hnas.baselines.measure import KINDS, measure, sample, spread
from hnas.baselines.record import Baseline
from hnas.data import Data, Images, prepare
from hnas.errors import InputError
from hnas.settings import DataRules


@pytest.fixture(scope="module")
def digits() -> tuple[Data, Images]:
    rules = DataRules(source="digits", limit=300)
    data, split = prepare(rules, image=8, channels=1, seed=0)
    return data, images.test_images(rules, image=8, channels=1, split=split)


@pytest.fixture(scope="module")
def found(digits: tuple[Data, Images]) -> list[Baseline]:
    return list(measure(*digits))


def test_each_kind_is_measured(found: list[Baseline], digits: tuple[Data, Images]) -> None:
    assert [one.name for one in found] == [kind.name for kind in KINDS]
    guess, *others = found
    assert guess.setting == "" and guess.test_accuracy == pytest.approx(0.1, abs=0.03)
    assert all(one.test_accuracy > 0.75 and one.accuracy > 0.75 for one in others)
    data, _ = digits
    assert {one.images for one in found} == {len(data.train) + len(data.held_out)}


def test_the_same_images_give_the_same_numbers(
    found: list[Baseline], digits: tuple[Data, Images]
) -> None:
    assert list(measure(*digits)) == found


def test_a_setting_is_chosen_by_held_out_images_not_by_test_images(
    digits: tuple[Data, Images], found: list[Baseline]
) -> None:
    data, test = digits
    wrong = Images(pixels=test.pixels, labels=test.labels.roll(1))
    for one, other in zip(found, measure(data, wrong), strict=True):
        assert (one.setting, one.accuracy) == (other.setting, other.accuracy)
    assert any(
        one.test_accuracy != other.test_accuracy
        for one, other in zip(found, measure(data, wrong), strict=True)
    )


def test_many_images_are_cut_to_a_share_of_each_class(
    digits: tuple[Data, Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "MOST", 90)
    monkeypatch.setattr(measuring, "CHOOSE", 60)
    for one in measure(*digits):
        assert 90 <= one.images <= 100
        assert one.name == "majority guess" or one.test_accuracy > 0.6


@pytest.mark.parametrize("most", [1, 7, 50, 99, 100, 1000])
def test_a_sample_has_every_class(most: int) -> None:
    labels = torch.tensor([2] * 60 + [0] * 39 + [4])
    index = spread(labels, most)
    assert sorted(set(labels[index].tolist())) == [0, 2, 4]
    assert len(index.unique()) == len(index) and min(most, 100) <= len(index) <= most + 3
    if most == 50:
        assert torch.bincount(labels[index]).tolist() == [20, 0, 31, 0, 1]


def test_a_sample_of_images(digits: tuple[Data, Images]) -> None:
    _, test = digits
    index = spread(test.labels, 20)
    taken = sample(test, 20)
    assert torch.equal(taken.labels, test.labels[index])
    assert torch.equal(taken.tensor(), test.tensor()[index])


@pytest.mark.parametrize(
    ("fit", "setting"), [(models.nearest, 3), (models.logistic, 1.0), (models.svm, 1.0)]
)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_model_gives_every_class_a_score(fit, setting, classes) -> None:  # type: ignore[no-untyped-def]
    """Also one that it has not seen: that comes last."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % classes
    x = torch.randn(60, 4, generator=generator) + 5 * torch.nn.functional.one_hot(y % 4, 4)
    known = y != 1 if classes > 2 else y >= 0
    scores = fit(x[known], y[known], classes, setting)(x)
    assert scores.shape == (60, classes)
    if classes < 5:
        assert (scores.argmax(dim=1) == y)[known].float().mean() > 0.9
    assert classes == 2 or (scores[:, 1] <= scores.min(dim=1).values).all()


def test_equal_votes_are_decided_by_the_nearer_image() -> None:
    x, y = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([1, 0, 0, 1])
    predict = models.nearest(x, y, 2, 2)
    assert predict(torch.tensor([[0.4], [0.6], [4.4], [4.6]])).argmax(dim=1).tolist() == [
        1,
        0,
        0,
        1,
    ]


def test_features_that_never_change_do_no_harm() -> None:
    x, y = torch.ones(10, 3), torch.arange(10) % 2
    for fit in (models.logistic, models.svm):
        assert fit(x, y, 2, 1.0)(x).isfinite().all()


def test_an_accuracy_that_is_none() -> None:
    with pytest.raises(InputError, match=r"test_accuracy must be 0 to 1, got 1.5"):
        Baseline(name="a", setting="", images=1, accuracy=0.5, test_accuracy=1.5)
