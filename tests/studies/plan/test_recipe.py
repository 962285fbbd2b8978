from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.architecture.space import Frame
from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan import recipe

NET = Frame(
    image=64, channels=3, patch=16, classes=2, d=192, M=2, N=3, stem="residual", pool="mean"
)


@given(st.integers(1, 50))
def test_kernels_are_odd_and_within_the_grid(side: int) -> None:
    kernel, kernels = recipe.kernels(side)
    assert kernel in kernels and len(set(kernels)) == len(kernels)
    assert all(K % 2 == 1 and 1 <= K <= max(2 * side - 1, 1) for K in kernels)


@pytest.mark.parametrize(
    ("trained", "epochs", "batch"),
    [(160, 120, 8), (520, 104, 32), (4_000, 20, 128), (2, 120, 2)],
)
def test_a_supernet_s_training_costs_about_the_same(trained: int, epochs: int, batch: int) -> None:
    rules = recipe.supernet_training(trained, seen=54_000, lr=2e-3)
    assert (rules.epochs, rules.batch) == (epochs, batch)
    assert rules.mixup and rules.label_smoothing


def test_only_colour_images_are_mirrored_and_coloured() -> None:
    assert recipe.augmentation(channels=1) == AugmentRules(crop=0.8)
    colour = recipe.augmentation(channels=3)
    assert colour.flip and colour.crop < 0.8 and colour.jitter


def test_retraining_starts_from_the_supernet_and_is_shorter() -> None:
    training = TrainingRules(epochs=90, lr=2e-3, mixup=0.4)
    rules = recipe.retraining(training, AugmentRules(flip=True), NET, top=3, trained=500)
    assert (rules.start, rules.top, rules.augment) == ("supernet", 3, AugmentRules(flip=True))
    assert rules.training == TrainingRules(epochs=30, lr=2e-3, mixup=0.4)


@pytest.mark.parametrize(
    ("trained", "epochs", "last"), [(100, 30, 48), (20_000, 120, 80), (20_001, 30, 0)]
)
def test_few_images_are_all_trained_on_in_the_end(trained: int, epochs: int, last: int) -> None:
    training = TrainingRules(epochs=epochs)
    rules = recipe.retraining(training, AugmentRules(), NET, top=3, trained=trained)
    assert (rules.refit, rules.refit_epochs) == (last > 0, last)


@pytest.mark.parametrize(
    ("d", "trained", "teacher", "stem"),
    [(192, 500, "cnn", True), (186, 500, "cnn", False), (192, 20_001, "", False)],
)
def test_a_stem_of_the_teacher_s_layers_begins_with_them(
    d: int, trained: int, teacher: str, stem: bool
) -> None:
    net = replace(NET, d=d)
    rules = recipe.retraining(TrainingRules(epochs=9), AugmentRules(), net, top=3, trained=trained)
    assert (rules.distillation.teacher, rules.distillation.stem) == (teacher, stem)


@pytest.mark.parametrize(
    ("d", "stem", "rate"),
    [(96, "conv", 2e-3), (192, "conv", 1e-3), (192, "residual", 2e-3), (384, "residual", 2e-3)],
)
def test_wide_plain_networks_take_smaller_steps(d: int, stem: str, rate: float) -> None:
    frame = Frame(image=32, channels=3, patch=8, classes=2, d=d, M=2, N=3, stem=stem)
    assert recipe.rate(frame) == rate


def test_small_batches_take_smaller_steps() -> None:
    rates = [recipe.supernet_training(n, seen=1, lr=2e-3).lr for n in (160, 520, 1_040, 50_000)]
    assert rates == [7.1e-4, 1.4e-3, 2e-3, 2e-3]
