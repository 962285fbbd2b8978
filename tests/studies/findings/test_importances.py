"""Importances: what matters is found, what does not stays within chance, what is unused is out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.studies.findings.importances import LEAST, importances
from hnas.studies.trials.encoding import distributions
from hnas.studies.trials.record import Record

FRAME = Frame(image=8, channels=1, patch=2, classes=10, d=12, M=3, N=3)
STAGE1 = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=5)
WHOLE = size_space(FRAME, None, d_k=(6, 12), d_z=(2, 4), E=(1, 2), K=(3, 5))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.studies.findings.importances.SHUFFLED", 60)


def scored(space: Space, score: Callable[[Arch], float], trials: int = 60) -> list[Record]:
    rng = np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(trials)]
    return [
        Record(
            number=i,
            generation=0,
            arch=arch,
            accuracy=score(arch) + 0.01 * float(rng.random()),
            loss=1.0,
            macs=1,
            params=1,
            seconds=0.0,
        )
        for i, arch in enumerate(archs)
    ]


def test_a_parameter_that_decides_the_score_stands_out() -> None:
    found = importances(STAGE1, scored(STAGE1, lambda arch: 0.1 * arch.blocks[1].G))
    assert found is not None and found.method == "fANOVA"
    assert next(iter(found.values)) == "b02.G"
    assert found.values["b02.G"] > 0.8 > found.chance
    assert max(found.values["b01.G"], found.values["b03.G"]) < found.chance
    assert sum(found.values.values()) <= 1


def test_with_noise_alone_nothing_does() -> None:
    found = importances(STAGE1, scored(STAGE1, lambda arch: 0.5))
    assert found is not None
    # Three parameters, each over the line once in twenty.
    assert sum(value > found.chance for value in found.values.values()) <= 1


def test_a_size_is_judged_where_it_is_used() -> None:
    """K decides in block 1 where it has a kernel, d_z where it has none. There the study stores
    K's first candidate, 3: counted in, those networks would blur it."""

    def score(arch: Arch) -> float:
        block = arch.blocks[0]
        return 0.5 if (block.d_z == 4 if block.K is None else block.K == 5) else 0.1

    records = scored(WHOLE, score, trials=200)
    assert sum(record.arch.blocks[0].K is None for record in records) > 10
    found = importances(WHOLE, records)
    assert found is not None and found.method == "PED-ANOVA"
    assert next(iter(found.values)) == "b01.K"
    assert found.values["b01.K"] > found.chance
    assert set(found.values) == set(distributions(WHOLE))


def test_many_trials_are_left_to_the_quick_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.studies.findings.importances.FANOVA_TRIALS", 30)
    found = importances(STAGE1, scored(STAGE1, lambda arch: 0.1 * arch.blocks[1].G))
    assert found is not None and found.method == "PED-ANOVA"
    assert next(iter(found.values)) == "b02.G"


def test_the_same_seed_gives_the_same_numbers() -> None:
    records = scored(STAGE1, lambda arch: 0.1 * arch.blocks[1].G, trials=LEAST)
    assert importances(STAGE1, records, seed=3) == importances(STAGE1, records, seed=3)


def test_nothing_is_said_of_too_little() -> None:
    records = scored(STAGE1, lambda arch: 0.5, trials=LEAST)
    assert importances(STAGE1, records) is not None
    assert importances(STAGE1, records[1:]) is None
    one = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=5).sample(np.random.default_rng(0))
    assert importances(size_space(FRAME, one, d_k=(12,), d_z=(2,), E=(1,), K=(5,)), records) is None
