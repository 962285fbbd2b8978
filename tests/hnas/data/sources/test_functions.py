import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnas.data import load
from hnas.errors import InputError

MODULE = """
import numpy as np
import torch
from hnas.data import Images, Source

def images(*shape):
    return np.arange(int(np.prod(shape)), dtype=np.uint8).reshape(shape)

labels = [0, 1, 1, 0]
def nhw(): return images(4, 5, 5), labels
def nchw(): return images(4, 3, 5, 5), np.array(labels)
def nhwc(): return images(4, 5, 5, 3), torch.tensor(labels)
def tested(): return torch.zeros(4, 1, 5, 5).byte(), labels, images(2, 5, 5), [1, 0]
def source():
    made = Images(pixels=torch.zeros(2, 1, 9, 9).byte(), labels=torch.tensor([0, 1]))
    return Source(name="mine", train=made, test=None, classes=("no", "yes"))
def nothing(): return None
def three(): return 1, 2, 3
def floats(): return images(4, 5, 5) / 255 - 1, labels
def empty(): return images(0, 5, 5), []
def ragged(): return [[1], [1, 2]], labels
def ambiguous(): return images(4, 3, 5, 3), labels
def channels(): return images(4, 5, 5, 2), labels
def short(): return images(4, 5, 5), [0, 1]
def half(): return images(4, 5, 5), [0.5] * 4
def negative(): return images(4, 5, 5), [-2, 0, 1, 0]
def unknown(): return images(4, 5, 5), [1, -1, 0, 1], images(2, 5, 5), [-1, -1]
def unlabelled(): return images(4, 5, 5), [-1] * 4
def huge(): return images(4, 5, 5), [2**40, 0, 1, 0]
def lonely(): return images(4, 5, 5), [0, 0, 0, 0]
def unseen(): return images(4, 5, 5), labels, images(2, 5, 5), [1, 2]
def raises(): raise KeyError("pixels")
def leaves(): raise SystemExit(3)
number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module `mine` in it that is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    path = list(sys.path)
    yield tmp_path
    assert sys.path == path, "the import path must be put back"
    for name in ("mine", "broken", "lacking"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["nhw", "nchw", "nhwc"])
def test_every_order_of_axes(name: str) -> None:
    source = load(f"mine:{name}", image=5, channels=3)
    assert source.train.pixels.shape == (4, 3, 5, 5)
    assert source.train.labels.tolist() == [0, 1, 1, 0]
    assert source.classes == ("0", "1")
    assert source.name == f"mine:{name}"
    assert source.test is None
    step = {"nhw": 0, "nchw": 25, "nhwc": 1}[name]
    assert source.train.pixels[0, :, 0, 0].tolist() == [0, step, 2 * step]


def test_a_test_part() -> None:
    source = load("mine:tested", image=4, channels=1)
    assert source.test is not None
    assert source.test.labels.tolist() == [1, 0]
    assert source.test.pixels.shape == (2, 1, 4, 4)


def test_a_source_is_resized_too() -> None:
    source = load("mine:source", image=4, channels=3)
    assert source.classes == ("no", "yes")
    assert source.train.pixels.shape == (2, 3, 4, 4)


def test_images_without_a_label_are_left_out() -> None:
    source = load("mine:unknown", image=5, channels=1)
    assert source.train.pixels[:, 0, 0, 0].tolist() == [0, 50, 75]
    assert source.train.labels.tolist() == [1, 0, 1] and source.test is None
    assert source.notes == (
        "left out 3 images: 3 whose label is -1 or missing (test part 2, train part 1)",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "must return a hnas.data.Source or (train_images, train_labels"),
        ("nothing", "got NoneType"),
        ("three", "got tuple of 3"),
        ("floats", "train_images must be 0 to 255, whole numbers up to 65,535, or floats from 0 "),
        ("floats", "got float64 from -1 to -0.611765"),
        ("empty", "got uint8 (0, 5, 5)"),
        ("ragged", "train_images must be an array: "),
        ("ambiguous", "got (4, 3, 5, 3): both could be"),
        ("channels", "got (4, 5, 5, 2): neither is"),
        ("short", "train_labels must be whole numbers, one for each of 4 images, got int64 (2,)"),
        ("half", "got float64 (4,)"),
        ("negative", "train_labels must count the classes from 0, got -2 to 1 for 4 images"),
        ("huge", "got 0 to 1099511627776 for 4 images"),
        ("lonely", "a data set needs at least two classes, got ['0']"),
        ("unlabelled", "no image of the training part has a label"),
        ("unseen", "labels must be 0 to 1 (2 classes), the test part has 2"),
        ("raises", "calling it raised KeyError: 'pixels'"),
        ("leaves", "calling it raised SystemExit: 3"),
        ("number", "has no function 'number'"),
        ("missing", "has no function 'missing'"),
    ],
)
def test_nonsense_is_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^mine:{name}: .*{re.escape(message)}"):
        load(f"mine:{name}", image=5, channels=1)


def test_a_missing_module(folder: Path) -> None:
    message = f"absent:load: there is no module 'absent' in {folder} or among the installed ones"
    with pytest.raises(InputError, match=re.escape(message)):
        load("absent:load", image=5, channels=1)
    with pytest.raises(InputError, match=r"there is no module 'absent' in"):
        load("absent.part:load", image=5, channels=1)


def test_a_module_that_fails_to_import(folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(InputError, match="importing it raised ZeroDivisionError"):
        load("broken:load", image=5, channels=1)
    (folder / "lacking.py").write_text("import not_there_at_all")
    with pytest.raises(InputError, match="importing it raised ModuleNotFoundError: No module"):
        load("lacking:load", image=5, channels=1)
