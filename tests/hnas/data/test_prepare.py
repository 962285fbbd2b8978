from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import hnas.data as data
from hnas.data import Data, prepare
from hnas.data.prepare import statistics
from hnas.errors import InputError, MismatchError
from hnas.settings import DataRules

DIGITS = DataRules(source="digits")


def rows(images: data.Images) -> list[bytes]:
    return [row.numpy().tobytes() for row in images.pixels]


def test_digits_in_three_parts() -> None:
    made, split = prepare(DIGITS, image=8, channels=1, seed=0)
    tested = data.test_images(DIGITS, image=8, channels=1, split=split)
    assert len(made.train) + len(made.held_out) + len(tested) == 1797
    assert len(tested) == pytest.approx(0.2 * 1797, abs=5)
    assert len(made.held_out) == pytest.approx(0.2 * 0.8 * 1797, abs=5)
    whole = rows(data.load("digits", image=8, channels=1).train)
    assert sorted(rows(made.train) + rows(made.held_out) + rows(tested)) == sorted(whole)


def test_a_normalisation_that_is_said() -> None:
    said = DataRules(source="digits", mean=(0.25,), std=(0.5,))
    made, _ = prepare(said, image=8, channels=1, seed=0)
    assert (made.mean.tolist(), made.std.tolist()) == ([0.25], [0.5])
    found, _ = prepare(DataRules(source="digits"), image=8, channels=1, seed=0)
    assert found.mean.item() == pytest.approx(0.305, abs=0.01)


def test_a_normalisation_that_cannot_be() -> None:
    with pytest.raises(InputError, match=r"each of 3 channels, got \[0.25\]"):
        prepare(DataRules(source="digits", mean=(0.25,), std=(0.5,)), image=8, channels=3, seed=0)
    for mean, std, message in (
        ((0.5, 0.5), (0.5,), r"std must be as many as mean has \(2\), got \[0.5\]"),
        ((124.0,), (0.5,), r"mean must be 0 to 1, got \[124.0\]"),
        ((0.5,), (0.0,), r"std must be above 0, got \[0.0\]"),
    ):
        with pytest.raises(InputError, match=message):
            DataRules(mean=mean, std=std)


def test_a_search_holds_no_test_image(mnist: Path) -> None:
    rules = DataRules(source="mnist")
    made, split = prepare(rules, image=6, channels=1, seed=0, root=mnist.parent)
    assert split.test is None
    assert len(made.train) + len(made.held_out) == 12
    tested = data.test_images(rules, image=6, channels=1, split=split, root=mnist.parent)
    assert tested.pixels[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    tensors = [made.train.pixels, made.held_out.pixels, made.train.labels, made.held_out.labels]
    assert not any(
        t.untyped_storage().data_ptr() == u.untyped_storage().data_ptr()
        for t in tensors
        for u in (tested.pixels, tested.labels)
    )


def test_a_broken_test_part_is_found_before_the_search(mnist: Path) -> None:
    (mnist / "t10k-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte: .* 8 bytes, got 0"):
        prepare(DataRules(source=str(mnist)), image=6, channels=1, seed=0)


def test_data_that_changed_after_the_split(mnist: Path, write_idx: Callable[..., Path]) -> None:
    rules = DataRules(source=str(mnist))
    _, split = prepare(rules, image=6, channels=1, seed=0)
    write_idx(mnist / "train-labels-idx1-ubyte", np.arange(12)[::-1] % 3)
    with pytest.raises(MismatchError, match="has other images now: of the tr"):
        data.test_images(rules, image=6, channels=1, split=split)


def test_a_test_part_that_went_away(mnist: Path) -> None:
    rules = DataRules(source=str(mnist))
    _, split = prepare(rules, image=6, channels=1, seed=0)
    for path in mnist.glob("t10k*"):
        path.unlink()
    with pytest.raises(MismatchError, match="has no test part of its own now, unlike when it was"):
        data.test_images(rules, image=6, channels=1, split=split)


def test_a_class_too_small_to_split_is_named(pets: Path) -> None:
    for path in (pets / "train" / "cat").iterdir():
        if path.stem != "0":
            path.unlink()
    with pytest.raises(InputError, match="class 'cat' has 1 images: 0 to test and 1 to hold out"):
        prepare(DataRules(source=str(pets)), image=8, channels=3, seed=0)


def test_statistics_are_those_of_the_training_images() -> None:
    made, _ = prepare(DIGITS, image=8, channels=3, seed=0)
    train = made.train.pixels.double() / 255
    assert made.mean.dtype == made.std.dtype == torch.float32
    torch.testing.assert_close(made.mean.double(), train.mean(dim=(0, 2, 3)), rtol=1e-6, atol=0)
    std = train.std(dim=(0, 2, 3), unbiased=False)
    torch.testing.assert_close(made.std.double(), std, rtol=1e-6, atol=0)


def test_a_constant_channel_can_be_divided_by() -> None:
    mean, std = statistics(torch.full((3, 1, 4, 4), 51, dtype=torch.uint8))
    assert mean.item() == pytest.approx(0.2)
    assert std.item() == 1


def test_normalise() -> None:
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
    normal = data.normalise(pixels, mean, std)
    assert normal.dtype == torch.float32
    for c in range(3):
        expected = (pixels[:, c].float() / 255 - mean[c]) / std[c]
        torch.testing.assert_close(normal[:, c], expected, rtol=1e-5, atol=1e-6)


def test_training_images_are_standard_after_normalise() -> None:
    made, _ = prepare(DIGITS, image=8, channels=1, seed=0)
    normal = data.normalise(made.train.pixels, made.mean, made.std)
    assert abs(normal.mean().item()) < 1e-5
    assert normal.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)


def test_to_moves_everything() -> None:
    made, _ = prepare(DIGITS, image=8, channels=1, seed=0)
    moved: Data = made.to("meta")
    tensors = (moved.train.pixels, moved.held_out.labels, moved.mean, moved.std)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.classes == made.classes
