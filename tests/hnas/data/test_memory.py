"""What loading needs is asked for first, and is the pixels once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hnas.data import Images, load
from hnas.data.images import divide
from hnas.data.sources import files
from hnas.data.sources.given import give
from hnas.errors import InputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, value in (("a", 10), ("b", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (8, 8), (value + i,) * 3).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def table(photos: Path) -> str:
    lines = [f"{name}/{i}.png,{name}" for name in "ab" for i in range(10)]
    (photos / "labels.csv").write_text("\n".join(["file,label", *lines]))
    return str(photos / "labels.csv")


class Photos:
    """A data set given from Python."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return Image.new("L", (8, 8), i), i % 2


def objects(photos: Path) -> str:
    return give(Photos(20))


@pytest.mark.parametrize("kind", [str, table, objects])
def test_more_than_there_is_is_told_before_anything_is_decoded(photos, monkeypatch, kind) -> None:
    source = kind(photos)
    monkeypatch.setattr(files, "free_memory", lambda: 20 * 3 * 16 * 16)
    assert len(load(source, image=16, channels=3).train) == 20
    monkeypatch.setattr(files, "decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(InputError) as raised:
        load(source, image=17, channels=3)
    assert "20 images take 0.00 GB decoded, this process can have 0.00 GB" in str(raised.value)
    place = "FOLDER-OF-THEIR-FILES" if kind is objects else source
    options = f"{place} --to PACK --image 17 --channels 3; then give --data PACK"
    assert f"hnas data pack {options}" in str(raised.value)
    with pytest.raises(InputError) as raised:
        load(source, image=28, channels=3, crop_pct=0.875, interpolation="bicubic")
    asked = "--to PACK --short-side 32 --channels 3 --interpolation bicubic; then give"
    assert asked in str(raised.value)


def test_the_peak_is_what_is_asked_for(root, tmp_path) -> None:
    """Of every reader, whatever it holds beside the images while it reads."""
    pytest.importorskip("pyarrow")
    command = [sys.executable, "-m", "tests.support.asked", str(tmp_path)]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = [line.split(",") for line in ran.stdout.splitlines()]
    assert len(found) == 11
    # A copy of all is 44 MB; that is what pictures and libraries may take for a moment.
    assert [row for row in found if int(row[1]) > int(row[2]) + 20] == []


@given(st.integers(1, 40), st.data())
def test_divided_images_are_those_that_an_index_takes(n, data) -> None:
    order = data.draw(st.permutations(range(n)))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2)))
    parts = [np.array(part, dtype=np.int64) for part in (order[: cuts[0]], order[slice(*cuts)])]
    pixels = torch.arange(n * 4).view(n, 1, 2, 2).to(torch.uint8)
    labels = torch.arange(n)
    expected = [pixels[torch.from_numpy(part)] for part in parts]
    found = divide(Images(pixels=pixels.clone(), labels=labels), *parts, None)
    for images, own, part in zip(found, [*expected, pixels[:0]], [*parts, []], strict=True):
        assert torch.equal(images.tensor(), own)
        assert images.labels.tolist() == list(part)


def test_most_images_stay_where_they_are() -> None:
    pixels = torch.zeros((10, 1, 4, 4), dtype=torch.uint8)
    images = Images(pixels=pixels, labels=torch.zeros(10, dtype=torch.int64))
    kept, _ = divide(images, np.arange(6)[::-1].copy(), np.arange(6, 8))
    assert kept.tensor().untyped_storage().data_ptr() == pixels.untyped_storage().data_ptr()
    few, _ = divide(images, np.arange(2), np.arange(2, 4))
    assert few.tensor().untyped_storage().nbytes() < pixels.untyped_storage().nbytes()
