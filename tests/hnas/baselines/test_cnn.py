"""The small CNN as a baseline: what it is trained on, by what, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hnas import data as images
from hnas.baselines import cnn
from hnas.baselines.record import Baseline
from hnas.data import Data, prepare
from hnas.settings import AugmentRules, DataRules, TrainingRules

RULES = DataRules(source="digits", limit=400)
ALONE = TrainingRules(epochs=6, batch=64, lr=3e-3)
LAST = replace(ALONE, epochs=2, lr=1e-3)


def trained(last: TrainingRules | None, seed: int = 0) -> tuple[Baseline, Data]:
    data, split = prepare(RULES, image=8, channels=1, seed=0)
    test = images.test_images(RULES, image=8, channels=1, split=split)
    trainings = (ALONE, last) if last else (ALONE,)
    return cnn.small_cnn(data, test, trainings, AugmentRules(), seed=seed), data


def test_it_learns_and_is_repeatable() -> None:
    found, data = trained(None)
    assert found.images == len(data.train) and found.setting == "6 epochs"
    assert min(found.accuracy, found.test_accuracy) > 0.5
    assert trained(None)[0] == found != trained(None, seed=1)[0]


def test_in_the_end_it_sees_held_out_images_that_have_judged_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, seen = cnn.train, []

    def told(net, data, rules, augmentation, **surroundings):  # type: ignore[no-untyped-def]
        seen.append((len(data.train), rules))
        return train(net, data, rules, augmentation, **surroundings)

    monkeypatch.setattr(cnn, "train", told)
    found, data = trained(LAST)
    both = len(data.train) + len(data.held_out)
    assert seen == [(len(data.train), ALONE), (both, LAST)]
    assert found.images == both and found.setting == "8 epochs"
    assert found.accuracy == trained(None)[0].accuracy
