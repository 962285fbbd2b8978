"""A survey counts what `load` would load, and decodes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from hnas.data import Survey, load, survey
from hnas.errors import InputError


def pictures(folder: Path, n: int, *, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new(mode, size, i).save(folder / f"{i}.png")


def test_class_folders(tmp_path: Path) -> None:
    pictures(tmp_path / "a", 5)
    pictures(tmp_path / "b", 3, size=(20, 26))
    assert survey(str(tmp_path)) == Survey(images=8, classes=2, side=30, channels=3, own_test=False)


def test_divided_class_folders_in_grey(tmp_path: Path) -> None:
    for part, n in (("train", 4), ("test", 1)):
        for name in "ab":
            pictures(tmp_path / part / name, n, mode="L")
    assert survey(str(tmp_path)) == Survey(images=8, classes=2, side=30, channels=1, own_test=True)


def test_it_decodes_nothing(tmp_path: Path) -> None:
    for name in "ab":
        pictures(tmp_path / name, 2)
        file = tmp_path / name / "1.png"
        file.write_bytes(file.read_bytes()[:60])  # the header is whole
    assert survey(str(tmp_path)).images == 4
    with pytest.raises(InputError, match="not a readable image"):
        load(str(tmp_path), image=8, channels=1)


def test_a_file_that_is_no_image_is_for_load_to_tell(tmp_path: Path) -> None:
    for name in "ab":
        pictures(tmp_path / name, 2)
    (tmp_path / "b" / "0.png").write_bytes(b"text")
    assert survey(str(tmp_path)).images == 4
    assert len(load(str(tmp_path), image=8, channels=1, skip_bad=True).train) == 3


def test_where_nothing_is_an_image_one_is_named(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"text")
    with pytest.raises(InputError, match=r"b/0\.png: not a readable image"):
        survey(str(tmp_path))


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "a", 2)
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"b: a class needs images"):
        survey(str(tmp_path))


def test_idx_files_are_as_they_are(mnist: Path) -> None:
    assert survey("mnist", root=mnist.parent) == Survey(
        images=12, classes=3, side=6, channels=1, own_test=True
    )


def test_digits() -> None:
    digits = survey("digits")
    assert digits == Survey(images=1797, classes=10, side=8, channels=1, own_test=False)
    assert digits.smallest == ("8", 174) and sum(digits.counts.values()) == 1797


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data source 'none' is unknown"):
        survey("none", root=tmp_path)


def test_real_images(shared_data: Path) -> None:
    folder = shared_data / "imagefolder-caltech101-20"
    found, source = survey(str(folder)), load(str(folder), image=4, channels=3)
    assert (found.images, found.classes) == (len(source.train), len(source.classes))
    assert found.own_test == (source.test is not None) and found.channels == 3
