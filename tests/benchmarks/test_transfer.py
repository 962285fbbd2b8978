"""The benchmark of pretrained weights: what it writes is read, and both searches may cost alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.search.transfer import Found, plans, pretrain, table


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(10):
            pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{n}.png")
    return tmp_path / "photos"


def test_both_searches_have_the_same_budget(tmp_path: Path, photos: Path) -> None:
    file = tmp_path / "vit.pth"
    accuracy = pretrain(str(photos), file, d=192, patch=8, epochs=1, limit=0)
    assert 0 <= accuracy <= 1
    made = plans(f"{photos}:12", file, flops="60%", share=0.1, seed=3)
    begun, nothing = made["pretrained"], made["nothing"]
    assert begun.pretrained.file == str(file) and begun.data.mean == (0.5,) * 3
    assert nothing.pretrained.file == "" and nothing.data.mean == ()
    assert begun.search.flops == nothing.search.flops is not None
    for plan in (begun, nothing):
        assert (plan.data.limit, plan.search.seed, plan.net.classes) == (12, 3, 2)


def test_the_table_has_means_over_seeds() -> None:
    each = {"data": "photos", "start": "nothing", "macs": 10, "minutes": 2.0}
    found = [Found(seed=seed, accuracy=seed / 10, **each) for seed in (1, 3)]
    assert table(found).splitlines()[1].split() == ["photos", "nothing", "0.2000", "10", "2.0", "2"]
