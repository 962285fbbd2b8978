"""The benchmark of pretrained weights: what it writes is read, all searches may cost alike, and
what is done is not done again."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from benchmarks.search.transfer import (
    STARTS,
    Found,
    changed,
    plans,
    pretrain,
    search,
    searched,
    small,
    source_of,
    table,
)
from hnas.data import survey
from hnas.errors import InputError
from hnas.exchange.export import save
from hnas.exchange.import_network import import_network
from hnas.exchange.import_weights import Asked
from hnas.studies.plan.limits import LIMITS
from hnas.studies.plan.plan import Plan


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(10):
            pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{n}.png")
    return tmp_path / "photos"


@pytest.fixture
def made(tmp_path: Path, photos: Path) -> dict[str, Plan]:
    """The plans for twelve photos, from a ViT that was pretrained on all of them."""
    file = tmp_path / "vit.pth"
    accuracy = pretrain(str(photos), file, d=24, patch=8, epochs=1, limit=0)
    assert 0 <= accuracy <= 1
    save(import_network(file, Asked(groups=3, heads=1)).network, tmp_path / "vit")
    with patch.dict(LIMITS, cpu=small(16, 2)):
        source = source_of(f"{photos}:12")
        assert [*survey(source).counts.values()] == [6, 6]
        return plans(source, tmp_path / "vit", flops="60%", share=0.1, seed=3)


def test_all_searches_have_the_same_budget(tmp_path: Path, made: dict[str, Plan]) -> None:
    begun, nothing, plain = (made[start] for start in STARTS)
    assert begun.pretrained.file == str(tmp_path / "vit") and begun.data.mean == (0.5,) * 3
    assert nothing.pretrained.file == plain.pretrained.file == "" and nothing.data.mean == ()
    assert begun.search.flops == nothing.search.flops == plain.search.flops is not None
    assert plain.net == begun.net and plain.stage2.d_z == begun.stage2.d_z
    assert plain.retrain == nothing.retrain and plain.stage1.training == nothing.stage1.training
    for plan in made.values():
        assert (plan.search.seed, plan.net.classes, plan.net.image, plan.net.side) == (3, 2, 16, 2)


def test_a_rule_is_changed_in_all_trainings(made: dict[str, Plan]) -> None:
    plan = made["pretrained"]
    now = changed(plan, "layer_decay=1,rate=2,subnets=sandwich")
    for rules, was, subnets in (
        (now.stage1.training, plan.stage1.training, "sandwich"),
        (now.stage2.training, plan.stage2.training, "sandwich"),
        (now.retrain.training, plan.retrain.training, "uniform"),
    ):
        assert rules == replace(was, layer_decay=1.0, lr=2 * was.lr, subnets=subnets)
    with pytest.raises(InputError, match="layer_decay"):
        changed(plan, "layer_decay=2")


@pytest.mark.slow
def test_a_search(tmp_path: Path, made: dict[str, Plan]) -> None:
    for start, plan in made.items():
        found = search("photos", start, plan, tmp_path / start)
        assert (found.test_images, found.seed) == (2, 3)
        assert plan.search.flops is not None and 0 < found.macs <= plan.search.flops


EACH = {"data": "photos", "start": "nothing", "test_images": 2, "macs": 10, "minutes": 2.0}


def test_the_table_has_means_over_seeds() -> None:
    found = [Found(seed=seed, accuracy=seed / 10, kinds="mixed", **EACH) for seed in (1, 3)]
    row = table(found).splitlines()[1].split()
    assert row == ["photos", "nothing", "0.2000", "10", "2.0", "0.1000", "0.3000"]


def test_changed_rules_are_compared_seed_by_seed() -> None:
    values = {"nothing": (0.1, 0.3, 0.2), "nothing,rate=3": (0.2, 0.5)}
    found = [
        Found(seed=seed, accuracy=accuracy, kinds="mixed", **EACH | {"start": start})
        for start, each in values.items()
        for seed, accuracy in enumerate(each)
    ]
    found.append(replace(found[-1], data="digits", seed=7))
    last = table(found).splitlines()[-1].split()
    assert last == ["photos", "nothing,rate=3", "+0.1500", "+-", "0.0500,", "2", "seeds"]


def test_what_is_done_is_not_done_again() -> None:
    done = Found(seed=1, accuracy=0.5, kinds="local", **EACH)
    kept: list[int] = []

    def one(data: str, start: str, seed: int) -> Found:
        assert seed != 1
        return Found(**asdict(done) | {"data": data, "start": start, "seed": seed})

    wanted = [("photos", "nothing", seed) for seed in (0, 1, 2)]
    found = searched(wanted, [done], one, lambda rows: kept.append(len(rows)))
    assert [row.seed for row in found] == [1, 0, 2] and kept == [2, 3]
