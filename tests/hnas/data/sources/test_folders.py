import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hnas.data import load
from hnas.errors import InputError

Write = Callable[..., Path]


def test_train_and_val(pets: Path) -> None:
    (pets / "train" / "cat" / "notes.txt").touch()
    (pets / "train" / "cat" / ".hidden.jpg").touch()
    (pets / "train" / ".cache").mkdir()
    source = load(str(pets), image=8, channels=3)
    assert source.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.train.pixels.shape == (6, 3, 8, 8)
    means = source.train.pixels.float().mean(dim=(1, 2, 3))
    assert torch.allclose(means, torch.tensor([20.0, 21, 22, 220, 221, 222]), atol=1)
    assert source.test is not None and source.test.labels.tolist() == [0, 1]


def test_test_goes_before_val(pets: Path, write_image: Write) -> None:
    for i in range(2):
        write_image(pets / "test" / "dog" / f"{i}.png", np.zeros((9, 9), dtype=np.uint8))
    source = load(str(pets), image=8, channels=1)
    assert source.test is not None and source.test.labels.tolist() == [1, 1]


def test_classes_directly_in_the_folder(pets: Path) -> None:
    source = load(str(pets / "train"), image=8, channels=1)
    assert source.classes == ("cat", "dog")
    assert source.test is None


def test_a_class_may_be_called_train(tmp_path: Path, write_image: Write) -> None:
    for name in ("bus", "train"):
        write_image(tmp_path / name / "0.png", np.zeros((9, 9), dtype=np.uint8))
    assert load(str(tmp_path), image=8, channels=1).classes == ("bus", "train")


def test_one_class(pets: Path) -> None:
    for file in (pets / "train" / "dog").iterdir():
        file.unlink()
    (pets / "train" / "dog").rmdir()
    message = f"{pets / 'train'}: needs one folder a class and at least two classes, got ['cat']"
    with pytest.raises(InputError, match=re.escape(message)):
        load(str(pets), image=8, channels=3)


def test_an_empty_class(pets: Path) -> None:
    for file in (pets / "train" / "dog").iterdir():
        file.rename(file.with_suffix(".txt"))
    message = f"{pets / 'train' / 'dog'}: a class needs images (.jpg, .jpeg, .jpe, .jfif, .png, "
    advice = re.escape("got none. Put some there, or move the folder elsewhere")
    with pytest.raises(InputError, match=f"{re.escape(message)}.*{advice}$"):
        load(str(pets), image=8, channels=3)


def test_an_unknown_class_in_the_test_part(pets: Path) -> None:
    (pets / "val" / "dog").rename(pets / "val" / "cow")
    with pytest.raises(InputError, match="class 'cow' is unknown, the training part has cat, dog"):
        load(str(pets), image=8, channels=3)


@pytest.mark.parametrize("content", [b"", b"GIF89a", "torn"])
def test_an_undecodable_image_is_named(pets: Path, content: bytes | str) -> None:
    path = pets / "train" / "dog" / "0.jpg"
    path.write_bytes(path.read_bytes()[:-30] if isinstance(content, str) else content)
    message = f"{path}: not a readable image: "
    with pytest.raises(InputError, match=re.escape(message)):
        load(str(pets), image=8, channels=3)


def test_undecodable_images_can_be_left_out_and_are_counted(pets: Path) -> None:
    whole = load(str(pets), image=8, channels=3)
    bad = [pets / "train" / "cat" / "0.jpg", pets / "val" / "dog" / "0.jpg"]
    for path in bad:
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"leave such files out: --skip-bad-images$"):
        load(str(pets), image=8, channels=3)
    rest = load(str(pets), image=8, channels=3, skip_bad=True)
    assert rest.skipped == tuple(map(str, bad)) and whole.skipped == ()
    assert whole.test is not None and rest.test is not None
    assert (len(rest.train), len(rest.test)) == (len(whole.train) - 1, len(whole.test) - 1)
    assert torch.equal(rest.train.pixels, whole.train.pixels[1:])  # those that are left, in order
    assert torch.equal(rest.train.labels, whole.train.labels[1:])


def test_a_class_of_bad_images_alone_is_an_error_all_the_same(pets: Path) -> None:
    for path in (pets / "train" / "cat").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"every class needs a training image.*'cat'"):
        load(str(pets), image=8, channels=3, skip_bad=True)


def test_a_picture_that_is_a_bomb(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"0\.jpg: not a readable .* exceeds limit"):
        load(str(pets), image=8, channels=3)


@pytest.mark.parametrize("place", ["train/dog/9.jpg", "train/cow"])
def test_links_out_of_the_folder(
    pets: Path, tmp_path: Path, write_image: Write, place: str
) -> None:
    outside = write_image(tmp_path / "outside" / "0.jpg", np.zeros((9, 9), dtype=np.uint8))
    (pets / place).symlink_to(outside if place.endswith("jpg") else outside.parent)
    message = f"{pets / place}: files of a data set must lie in its folder {pets}"
    with pytest.raises(InputError, match=re.escape(message)):
        load(str(pets), image=8, channels=3)


def test_a_broken_link_is_no_image(pets: Path) -> None:
    (pets / "train" / "dog" / "9.jpg").symlink_to(pets / "nothing.jpg")
    assert len(load(str(pets), image=8, channels=3).train) == 6


def test_caltech101(shared: Path) -> None:
    source = load("imagefolder-caltech101-20", image=32, channels=3, root=shared)
    assert source.test is not None
    assert len(source.classes) == 20 and list(source.classes) == sorted(source.classes)
    assert source.train.labels.bincount().tolist() == [32] * 20
    assert source.test.labels.bincount().tolist() == [8] * 20
