"""What is odd about a set of images is told when it is prepared, and nothing of a plain one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hnas.data import Images, Source, load, notes, prepare
from hnas.data.size import Size
from hnas.data.sources.folders import listing
from hnas.data.sources.given import give
from hnas.data.sources.packing import pack
from hnas.settings import DataRules

RNG = np.random.default_rng(0)
Save = Callable[[Path], None]


def noise(channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (8, 8, channels), dtype=np.uint8)


def folder(root: Path, counts: dict[str, int], picture: Callable[[], Image.Image]) -> Path:
    for name, n in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(n):
            picture().save(root / name / f"{i}.png")
    return root


def colour() -> Image.Image:
    return Image.fromarray(noise())


def told(root: Path, *, packed: bool = False, **rules: object) -> tuple[str, ...]:
    if packed:
        pack(listing(root), root.parent / "pack", Size(8, 3))
        root = root.parent / "pack"
    made = DataRules(source=str(root), **rules)  # type: ignore[arg-type]
    return prepare(made, image=8, channels=3, seed=0)[0].notes


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_is_told_of_a_plain_set(tmp_path, packed) -> None:
    assert told(folder(tmp_path / "photos", {"a": 6, "b": 7}, colour), packed=packed) == ()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("value", [0, 255])
def test_images_with_nothing_to_see(tmp_path, value, packed) -> None:
    """White icons on transparent ground, and black ones that have lost their shape."""

    def icon() -> Image.Image:
        shape = Image.new("RGB", (8, 8), (value,) * 3)
        shape.putalpha(Image.fromarray(noise(1)[..., 0]) if value else Image.new("L", (8, 8), 255))
        return shape

    [said] = [
        s
        for s in told(folder(tmp_path / "i", {"a": 6, "b": 6}, icon), packed=packed)
        if "one value" in s
    ]
    assert said.startswith("8 of 8 training images have one value in all their pixels")
    if value and not packed:
        assert not any("one value" in s for s in told(tmp_path / "i", background="black"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_channel_that_is_empty(tmp_path, packed) -> None:
    def no_blue() -> Image.Image:
        array = noise()
        array[..., 2] = 7
        return Image.fromarray(array)

    assert told(folder(tmp_path / "p", {"a": 6, "b": 6}, no_blue), packed=packed) == (
        "channel 2 has one value in all training images: it tells nothing",
    )


def test_values_that_use_little_of_the_scale(tmp_path) -> None:
    """12 bits in files of 16."""

    def deep() -> Image.Image:
        return Image.fromarray(RNG.integers(0, 4096, (8, 8)).astype(np.uint16))

    [said] = told(folder(tmp_path / "p", {"a": 6, "b": 6}, deep))
    assert said.startswith("the training images use only the values 0 to 15 of 0 to 255.")


@pytest.mark.parametrize("packed", [False, True])
def test_test_images_that_are_training_images(tmp_path, packed) -> None:
    root = tmp_path / "p"
    folder(root / "train", {"a": 8, "b": 8}, colour)
    folder(root / "test", {"a": 2, "b": 2}, colour)
    for i in range(8):  # under another name, in another format, of another class
        Image.open(root / "train" / "a" / f"{i}.png").save(root / "test" / "b" / f"copy{i}.bmp")
    said = told(root, packed=packed)
    assert said == (
        "6 of 12 test images are training images too (the same pixels): what is measured on them "
        "is too good",
    )


def test_held_out_images_that_are_training_images(tmp_path) -> None:
    root = folder(tmp_path / "p", {"a": 1, "b": 1}, colour)
    for name in "ab":
        for i in range(9):
            Image.open(root / name / "0.png").save(root / name / f"copy{i}.png")
    assert [s.split(" (")[0] for s in told(root)] == [
        "4 of 4 held-out images are training images too",
        "4 of 4 test images are training images too",
    ]


def test_classes_without_a_test_image(tmp_path) -> None:
    root = tmp_path / "p"
    folder(root / "train", {name: 6 for name in "abcdefgh"}, colour)
    folder(root / "test", {"h": 2}, colour)
    (root / "test" / "a").mkdir()
    assert told(root) == (
        "7 of 8 classes have no test image: a, b, c, d, e and 2 more. The test accuracy says "
        "nothing of them",
    )


def test_unequal_classes(tmp_path) -> None:
    root = folder(tmp_path / "p", {"cat": 40, "dog": 5}, colour)
    assert told(root) == (
        "the classes are unequal: cat has 26 training images, dog 3. Naming cat every time is "
        "right for 89.7% of them",
    )


def test_a_subset_is_no_copy() -> None:
    pixels = torch.randint(0, 256, (9, 3, 4, 4), dtype=torch.uint8)
    hashes = Images(pixels=pixels, labels=torch.zeros(9, dtype=torch.int64)).hashes
    first, last = hashes[:5], hashes[5:]
    assert list(notes.of_copies(first, test=last)) == []
    assert len(list(notes.of_copies(hashes, test=last))) == 1


@pytest.mark.parametrize("renamed", [False, True])
def test_copies_are_told_again_by_a_run_that_goes_on(tmp_path, renamed) -> None:
    """Also if files have another order since: each part is compared as it was split."""
    root = folder(tmp_path / "p", {"a": 9, "b": 9}, colour)
    for name in "ab":
        Image.open(root / name / "0.png").save(root / name / "8.png")
    rules = DataRules(source=str(root))
    data, kept = prepare(rules, image=8, channels=3, seed=0)
    if renamed:
        (root / "a" / "3.png").rename(root / "a" / "99.png")
    again, _ = prepare(rules, image=8, channels=3, seed=0, kept=kept)
    assert again.notes == data.notes and bool(again.carried) == renamed


@pytest.mark.parametrize("kind", ["folder", "pack", "table", "arrays"])
def test_the_same_pixels_in_two_classes(tmp_path, kind) -> None:
    """Whatever the files are called, and though copies within a class are none of these."""
    root = folder(tmp_path / "p", {"cat": 9, "dog": 9}, colour)
    for name in ("cat/copy", "dog/same", "dog/again"):
        Image.open(root / "cat" / "3.png").save(root / f"{name}.bmp")
    Image.open(root / "dog" / "8.png").save(root / "dog" / "copy.bmp")
    source, pair = root, "cat/3.png (cat) and dog/again.bmp (dog)"
    if kind == "table":
        files = sorted(root.rglob("*.*"))
        lines = ["file,label", *(f"{file},{file.parent.name}" for file in files)]
        source = root / "labels.csv"
        source.write_text("\n".join(lines))
    if kind == "arrays":
        data = load(str(root), image=8, channels=3).train
        name = give((data.tensor().numpy(), data.labels.numpy()))
        source, pair = Path(name), "image 3 (0) and image 19 (1)"
    [said, *_] = [s for s in told(source, packed=kind == "pack") if "another class" in s]
    assert said.startswith(
        f"4 of 22 labelled images have the pixels of an image of another class, as {pair}: "
    )


def test_copies_within_a_class_are_no_contradiction() -> None:
    pixels = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8).repeat(2, 1, 1, 1)
    images = Images(pixels=pixels, labels=torch.arange(12) % 3)
    source = Source(name="x", train=images, test=None, classes=("a", "b", "c"))
    assert list(notes.of_labels(source, images.hashes)) == []
