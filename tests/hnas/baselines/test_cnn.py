"""The small CNN as a baseline: what it is trained on, by what, and that it learns."""

from __future__ import annotations

import pytest

from hnas import data as images
from hnas.baselines import cnn
from hnas.baselines.record import Baseline, Course
from hnas.data import Data, prepare
from hnas.settings import AugmentRules, DataRules, TrainingRules

RULES = DataRules(source="digits", limit=400)
TRAINING = TrainingRules(epochs=6, batch=64, lr=3e-3)


def trained(*, held_out_too: bool, seed: int = 0) -> tuple[Baseline, Data]:
    data, split = prepare(RULES, image=8, channels=1, seed=0)
    test = images.test_images(RULES, image=8, channels=1, split=split)
    course = Course(training=TRAINING, augment=AugmentRules(), held_out_too=held_out_too)
    return cnn.small_cnn(data, test, course, seed=seed), data


def test_it_learns_and_is_repeatable() -> None:
    found, data = trained(held_out_too=False)
    assert found.images == len(data.train) and found.setting == "6 epochs"
    assert found.accuracy is not None and min(found.accuracy, found.test_accuracy) > 0.5
    assert trained(held_out_too=False)[0] == found != trained(held_out_too=False, seed=1)[0]


def test_held_out_images_that_it_is_trained_on_do_not_judge_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, seen = cnn.train, []

    def told(net, data, rules, augmentation, **surroundings):  # type: ignore[no-untyped-def]
        seen.append((len(data.train), rules))
        return train(net, data, rules, augmentation, **surroundings)

    monkeypatch.setattr(cnn, "train", told)
    found, data = trained(held_out_too=True)
    both = len(data.train) + len(data.held_out)
    assert seen == [(both, TRAINING)]
    assert found.images == both and found.setting == "6 epochs"
    assert found.accuracy is None and found.test_accuracy > 0.5
