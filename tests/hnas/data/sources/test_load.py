import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from hnas.data import load
from hnas.data.sources.load import known
from hnas.errors import InputError


def test_digits() -> None:
    source = load("digits", image=8, channels=1)
    assert source.classes == tuple("0123456789")
    assert source.test is None
    assert source.train.pixels.shape == (1797, 1, 8, 8)
    assert source.train.pixels.max() == 255
    sixteenths = (source.train.pixels[:, 0].double() * 16 / 255).round().numpy()
    assert np.array_equal(sixteenths, load_digits().images)
    assert source.train.labels[:10].tolist() == list(range(10))


def test_digits_in_another_size() -> None:
    assert load("digits", image=12, channels=3).train.pixels.shape == (1797, 3, 12, 12)


def test_a_name_is_looked_up(mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("HNAS_DATA", raising=False)
    with pytest.raises(InputError, match="'mnist' is unknown"):
        load("mnist", image=6, channels=1)
    assert len(load("mnist", image=6, channels=1, root=mnist.parent).train) == 12
    monkeypatch.setenv("HNAS_DATA", str(mnist.parent))
    assert load("mnist", image=6, channels=1).name == str(mnist)
    mnist.rename(elsewhere / "data" / "mnist")
    assert load("mnist", image=6, channels=1).name == str(Path("data") / "mnist")


def test_a_path_is_taken_as_it_is(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mnist.parent)
    for source in (str(mnist), "./mnist", "mnist", "mnist/"):
        assert len(load(source, image=6, channels=1).train) == 12


def test_an_unknown_name_lists_what_is_known(mnist: Path) -> None:
    root = mnist.parent
    message = (
        f"data source 'mnits' is unknown: there is no such folder here or in {root}. "
        "Known: digits, mnist; or a path, or module:function. Did you mean 'mnist'?"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        load("mnits", image=6, channels=1, root=root)
    with pytest.raises(InputError, match=r"module:function\.$"):
        load("quite-different", image=6, channels=1, root=root)
    for source in ("no/such", "~nobody-here/x", "a" * 5000, "nul\0"):
        with pytest.raises(InputError, match="is unknown: there is no such folder"):
            load(source, image=6, channels=1, root=root)


def test_known(mnist: Path) -> None:
    (mnist.parent / ".hidden").mkdir()
    (mnist.parent / "a-file").touch()
    assert known(mnist.parent) == ["digits", "mnist"]
    assert known(mnist.parent / "absent") == ["digits"]


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one folder of image files a class, got nothing"):
        load(str(tmp_path), image=6, channels=1)
    (tmp_path / "table.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"a data folder holds IDX files .*, got table\.csv"):
        load(str(tmp_path), image=6, channels=1)


def test_a_folder_of_two_formats(mnist: Path) -> None:
    (mnist / "train.bin").touch()
    with pytest.raises(InputError, match="holds IDX and CIFAR files; keep one data set a folder"):
        load(str(mnist), image=6, channels=1)


@pytest.mark.parametrize(("image", "channels"), [(0, 1), (8, 2)])
def test_sizes_that_no_image_has(image: int, channels: int) -> None:
    with pytest.raises(InputError, match=f"got image={image}, channels={channels}"):
        load("digits", image=image, channels=channels)


def test_loading_is_repeatable(pets: Path) -> None:
    first, second = (load(str(pets), image=8, channels=3).train for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert first.pixels.dtype == torch.uint8
