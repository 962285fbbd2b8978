"""Tables of files and labels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from hnas.data import load, survey
from hnas.data.sources.tables import listing
from hnas.errors import InputError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """images/0.png to images/9.png; image i has the value 20 i."""
    (tmp_path / "images").mkdir()
    for i in range(10):
        Image.new("L", (8, 8), 20 * i).save(tmp_path / "images" / f"{i}.png")
    return tmp_path


def table(path: Path, head: str, *lines: str) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [
        ("labels.csv", "file,label", "images/{i}.png,{c}"),
        ("annotations.csv", "\ufefffilename;class;source", "{i}.png;{c};web"),
        ("all.tsv", "Label\tImage_ID", "{c}\t{i}"),
        ("data.csv", '"path","category"', '"images/{i}.png","{c}"'),
    ],
)
def test_headers_and_names_of_files(photos, name, head, line) -> None:
    lines = [line.format(i=i, c="dog" if i % 2 else "cat") for i in range(10)]
    path = table(photos / name, head, *lines)
    for source in (photos, path):
        found = load(str(source), image=8, channels=1)
        assert found.classes == ("cat", "dog") and found.test is None
        assert found.train.labels.tolist() == [0, 1] * 5
        assert found.train.tensor()[:, 0, 0, 0].tolist() == [20 * i for i in range(10)]
        assert survey(str(source)).images == 10


def test_a_column_of_parts(photos) -> None:
    parts = ["train"] * 6 + ["Validation"] * 2 + ["TEST"] * 2
    lines = [f"{i}.png,{i % 2},{part}" for i, part in enumerate(parts)]
    found = listing(table(photos / "a.csv", "image,label,split", *lines))
    assert [len(x or ()) for x in (found.train, found.held_out, found.test)] == [6, 2, 2]


def test_a_table_for_each_part(photos) -> None:
    for name, rows in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 10))):
        table(photos / f"{name}.csv", "image,label", *(f"{i}.png,{i % 2}" for i in rows))
    found = listing(photos)
    assert [len(x or ()) for x in (found.train, found.held_out, found.test)] == [6, 2, 2]


def test_numbers_are_classes_in_their_order(photos) -> None:
    lines = (f"{i}.png,{label}" for i, label in enumerate([10, 9, 2, 10, 9, 2]))
    found = listing(table(photos / "a.csv", "id,label", *lines))
    assert found.classes == ("2", "9", "10")
    assert found.notes == ("left out 4 files: 4 named in no table (.png 4)",)


def test_a_test_table_without_labels_is_not_used(photos) -> None:
    table(photos / "train.csv", "image,label", *(f"{i}.png,{i % 2}" for i in range(10)))
    table(photos / "test.csv", "image", "9.png")
    found = listing(photos)
    assert found.test is None
    assert found.notes == ("test.csv has no column of files and one of labels: it is not used",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("0.png,a", "none.png,b"), "line 3: 'none.png' must name one file below"),
        (("0.png,a", "0.png,b"), "line 3: "),
        (("0.png,a", "1.png"), "line 3: has 1 cells, fewer than the header"),
        (("0.png,a", "1.png,a"), "needs at least two classes, got ['a']"),
        (("../secret.png,a",), "files of a data set must lie in its folder"),
        ((), "has no labelled images of a training part"),
    ],
)
def test_what_is_wrong_is_named(photos, lines, message) -> None:
    outside = photos.parent / "secret.png"
    Image.new("L", (8, 8)).save(outside)
    path = table(photos / "labels.csv", "file,label", *lines)
    with pytest.raises(InputError, match=re.escape(message)):
        load(str(path), image=8, channels=1)
    outside.unlink()


def test_a_line_without_a_label_is_counted(photos) -> None:
    lines = [f"{i}.png,{'' if i > 7 else i % 2}" for i in range(10)]
    found = listing(table(photos / "a.csv", "id,label", *lines))
    assert len(found.train) == 8
    assert found.notes == (
        "left out 4 files: 2 without a label in the table (a.csv 2), 2 named in no table (.png 2)",
    )
