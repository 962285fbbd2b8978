import pytest

from hnas.data import decode
from hnas.errors import InputError
from hnas.persist.record import recorded
from hnas.settings import BACKGROUNDS, INTERPOLATIONS, AugmentRules, TrainingRules

FIRST = {
    "epochs": 3,
    "batch": 128,
    "lr": 1e-3,
    "warmup": 0.05,
    "weight_decay": 0.05,
    "label_smoothing": 0.0,
    "dropout": 0.0,
    "drop_path": 0.0,
    "ema": 0.0,
    "clip": 1.0,
}
"""What was recorded of a training before anything came later."""


def test_what_came_later_is_recorded_only_where_it_is_used() -> None:
    assert recorded(TrainingRules(epochs=3)) == FIRST
    assert recorded(TrainingRules(epochs=3, mixup=0.8)) == {**FIRST, "mixup": 0.8}
    first = {"shift": 0, "flip": False, "rotate": 0.0, "erase": 0.0}
    assert recorded(AugmentRules()) == first


@pytest.mark.parametrize(
    "rules", [TrainingRules(epochs=1, clip=0, cutmix=1.0, repeats=3), AugmentRules(flip=True)]
)
def test_what_is_recorded_gives_the_rules_back(rules: TrainingRules | AugmentRules) -> None:
    assert type(rules)(**recorded(rules)) == rules


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixup": -0.1}, "mixup must be >= 0, got -0.1"),
        ({"cutmix": -1.0}, "cutmix must be >= 0, got -1.0"),
        ({"clip": -1.0}, "clip must be >= 0, got -1.0"),
        ({"repeats": 0}, "repeats must be 1 to batch=128, got 0"),
        ({"repeats": 9, "batch": 8}, "repeats must be 1 to batch=8, got 9"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in [0, 1), got 1.0"),
    ],
)
def test_a_training_that_breaks_a_rule_is_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        TrainingRules(epochs=1, **values)
    assert str(caught.value) == message


def test_words_of_exported_files_are_those_of_a_plan() -> None:
    assert tuple(decode.BACKGROUNDS) == BACKGROUNDS and decode.INTERPOLATIONS == INTERPOLATIONS
