"""Pixels in files are indexed as the same pixels in memory are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hnas.data import Images
from hnas.data.on_disk import AHEAD, OnDisk
from hnas.data.pixels import pixels_of
from hnas.data.prepare import statistics
from hnas.errors import StateError

SHAPE = (3, 4, 5)
COUNTS = (4, 1, 7, 3)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (sum(COUNTS), *SHAPE), dtype=torch.uint8, generator=generator)


def store(folder: Path, pixels: torch.Tensor) -> OnDisk:
    files = []
    for i, part in enumerate(pixels.split(COUNTS)):
        files.append(folder / f"{i}.u8")
        files[-1].write_bytes(part.numpy().tobytes())
    values = pixels.flatten(2).numpy().astype(np.int64)
    return OnDisk(
        files=tuple(files),
        starts=np.cumsum([0, *COUNTS]),
        image=SHAPE,
        sums=values.sum(axis=2),
        squares=(values**2).sum(axis=2),
        rows=np.arange(len(pixels)),
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def stored(pixels: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> OnDisk:
    return store(tmp_path_factory.mktemp("stored"), pixels)


indices = st.lists(st.integers(0, sum(COUNTS) - 1), min_size=1, max_size=40)


@given(indices)
def test_any_index_gives_what_a_tensor_gives(
    stored: OnDisk, pixels: torch.Tensor, index: list[int]
) -> None:
    assert torch.equal(stored[torch.tensor(index)], pixels[torch.tensor(index)])


@given(indices, st.data())
def test_a_part_of_a_part(
    stored: OnDisk, pixels: torch.Tensor, index: list[int], data: st.DataObject
) -> None:
    inner = data.draw(st.lists(st.integers(0, len(index) - 1), min_size=1, max_size=9))
    part, expected = stored.take(torch.tensor(index)), pixels[torch.tensor(index)]
    assert part.shape == expected.shape and len(part) == len(index)
    assert torch.equal(part[torch.tensor(inner)], expected[torch.tensor(inner)])
    for ours, theirs in zip(statistics(part), statistics(expected), strict=True):
        assert torch.equal(ours, theirs)


def test_batches_come_in_their_order_and_some_ahead(
    stored: OnDisk, pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = [torch.randperm(len(pixels))[:6] for _ in range(7)]
    asked: list[int] = []
    begin = OnDisk._begin

    def begun(*args: object) -> object:
        asked.append(len(asked))
        return begin(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(OnDisk, "_begin", begun)
    for i, (batch, index) in enumerate(zip(pixels_of(stored).fetch(order), order, strict=True)):
        assert torch.equal(batch, pixels[index])
        assert len(asked) == min(i + 1 + AHEAD, len(order))


def test_images_are_taken_without_reading_and_read_when_asked(
    pixels: torch.Tensor, tmp_path: Path
) -> None:
    images = Images(pixels=store(tmp_path, pixels), labels=torch.arange(len(pixels)))
    taken = images.take(torch.tensor([9, 2, 2])).to("cpu")
    assert isinstance(taken.pixels, OnDisk) and taken.labels.tolist() == [9, 2, 2]
    assert torch.equal(taken.tensor(), pixels[[9, 2, 2]])
    assert taken.fingerprint == Images(pixels=taken.tensor(), labels=taken.labels).fingerprint


def test_a_file_that_is_cut_or_gone_is_named_and_kills_nothing(
    pixels: torch.Tensor, tmp_path: Path
) -> None:
    stored = store(tmp_path, pixels)
    cut = stored.files[2]
    cut.write_bytes(cut.read_bytes()[:-1])
    last = torch.tensor([sum(COUNTS[:3]) - 1])
    with pytest.raises(StateError, match=r"2\.u8 cannot be read: it ends at byte 419, an image"):
        stored[last]
    cut.unlink()
    with pytest.raises(StateError, match=r"2\.u8 cannot be read: No such file .* pack the images"):
        list(pixels_of(stored).fetch([torch.tensor([0]), last, torch.tensor([1])]))
    assert torch.equal(stored[torch.tensor([0])], pixels[:1])
