"""Smoothed scores: nearer to the truth where sizes explain it, unused where they do not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.cost.flops import cost
from hnas.studies.plan.change import override, with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.search.picks import best
from hnas.studies.trials.marks import read_marks
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.record import Record
from hnas.studies.trials.smoothing import LEAST, SMOOTHED, picked, picking, smoothed
from hnas.studies.trials.study import open_study

FRAME = Frame(image=16, channels=1, patch=4, classes=10, d=24, M=4, N=3)
DISTRIBUTIONS = distribution_space(FRAME, d_k=24, d_z=4, E=1, K=9)
SIZES = size_space(
    FRAME, Arch((FRAME.block(2, 24, 4, 1, 9),) * 4), d_k=(12, 24), d_z=(2, 4), E=(1, 2), K=(5, 9)
)
SPACES = pytest.mark.parametrize("space", [DISTRIBUTIONS, SIZES], ids=["distributions", "sizes"])


def drawn(space: Space, count: int) -> list[Arch]:
    rng, found = np.random.default_rng(99), dict[Arch, None]()
    while len(found) < count:
        found[space.sample(rng)] = None
    return list(found)


def scored(archs: list[Arch], accuracies: np.ndarray) -> list[Record]:
    return [
        Record(
            number=i, generation=0, arch=arch, accuracy=float(accuracy), loss=0.0, params=0,
            macs=cost(FRAME, arch).macs, seconds=0.0,
        )
        for i, (arch, accuracy) in enumerate(zip(archs, accuracies, strict=True))
    ]  # fmt: skip


def truth(archs: list[Arch]) -> np.ndarray:
    """0.8 to 0.96: every block adds its part."""

    def part(i: int, arch: Arch) -> float:
        block = arch.blocks[i]
        return block.G / 3 * i + block.d_z / 4 - (block.K or 0) / 20

    total = np.array([sum(part(i, arch) for i in range(4)) for arch in archs])
    return 0.8 + 0.16 * (total - total.min()) / np.ptp(total)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.04, count)


@SPACES
def test_it_is_nearer_to_the_truth_than_a_noisy_score(space: Space) -> None:
    archs = drawn(space, 100)
    known, inside = truth(archs), []
    for seed in range(5):
        trials = scored(archs, (known + noise(100, seed)).clip(0, 1))
        found = smoothed(trials)
        assert found is not None and found.counts and 0.2 < found.r2 < 1
        raw = np.array([trial.accuracy for trial in trials])
        assert np.square(found.scores - known).mean() < np.square(raw - known).mean() / 2
        assert found.errors.max() < 0.04
        inside.append(np.abs(found.scores - known) < 1.96 * found.errors)
    assert np.mean(inside) > 0.85


@SPACES
@pytest.mark.parametrize("trials", [LEAST, 100])
def test_of_scores_by_chance_nothing_is_made(space: Space, trials: int) -> None:
    archs = drawn(space, trials)
    found = [smoothed(scored(archs, 0.8 + noise(trials, seed))) for seed in range(20)]
    assert sum(one is not None and one.counts for one in found) <= 2


def test_few_trials_and_equal_scores_are_left_as_they_are() -> None:
    archs = drawn(DISTRIBUTIONS, LEAST)
    trials = scored(archs, truth(archs))
    assert smoothed(trials) is not None and smoothed(trials[1:]) is None and smoothed([]) is None
    assert smoothed(scored(archs, np.full(LEAST, 0.5))) is None
    assert picked(trials[1:], 3, "flops", smoothed(trials[1:])) == best_by_score(trials[1:], 3)


def test_the_best_are_picked_by_it_only_if_it_counts_and_is_asked_for() -> None:
    archs = drawn(DISTRIBUTIONS, 100)
    known = dict(zip(archs, truth(archs), strict=True))
    gains = []
    for seed in range(5):
        trials = scored(archs, (truth(archs) + noise(100, seed)).clip(0, 1))
        raw, smooth = (picked(trials, 5, "flops", by) for by in (None, smoothed(trials)))
        assert raw == best_by_score(trials, 5)
        gains += [sum(known[a.arch] - known[b.arch] for a, b in zip(smooth, raw, strict=True))]
    assert np.mean(gains) > 0.02
    assert picking(trials, "score") is None and picking(trials, "smoothed") is not None
    chance = scored(archs, 0.8 + noise(100))
    assert picking(chance, "smoothed") is None
    assert picked(chance, 5, "flops", smoothed(chance)) == best_by_score(chance, 5)


def test_of_losses_the_lowest_are_picked() -> None:
    archs = drawn(DISTRIBUTIONS, 100)
    trials = [
        replace(one, loss=2 - one.accuracy, accuracy=0.5) for one in scored(archs, truth(archs))
    ]
    found = picking(trials, "smoothed-loss")
    assert found is not None and found.what == "loss" and smoothed(trials) is None
    best_loss, *_, worst = (one.loss for one in picked(trials, 100, "flops", found))
    losses = [one.loss for one in trials]
    assert best_loss <= np.quantile(losses, 0.05) and worst >= np.quantile(losses, 0.95)
    assert smoothed([replace(one, loss=np.inf) for one in trials], "loss") is None


@pytest.mark.parametrize("what", ["accuracy", "loss"])
def test_a_study_says_what_its_best_were_picked_by(tiny: Plan, what: str) -> None:
    archs = drawn(DISTRIBUTIONS, 60)
    trials = [replace(one, loss=1 - one.accuracy) for one in scored(archs, truth(archs))]
    study = open_study(optuna.storages.InMemoryStorage(), "s", create=True)

    def session(plan: Plan):
        return SimpleNamespace(plan=plan, study=lambda stage: study)

    best(session(tiny), 1, trials, 5)
    assert read_marks("s", study.user_attrs).smoothed is None
    pick = {words: pick for pick, words in SMOOTHED.items()}[what]
    plan = with_values(override(tiny), {"search.pick": pick})
    chosen = best(session(plan), 1, trials, 5)
    mark = read_marks("s", study.user_attrs).smoothed
    assert mark is not None and mark.counts and mark.r2 is not None and mark.r2 > 0.9
    assert list(mark.picked) == [f"{one.number}" for one in chosen]
    score, error = mark.picked[f"{chosen[0].number}"]
    assert mark.what == what
    assert score == pytest.approx(getattr(chosen[0], what), abs=0.02) and 0 < error < 0.02
    few = replace(mark, r2=None, counts=False, picked={})
    best(session(plan), 1, trials[:10], 5)
    assert read_marks("s", study.user_attrs).smoothed == few
