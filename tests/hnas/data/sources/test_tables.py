"""Tables of files and labels."""

from __future__ import annotations

import re
import unicodedata
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


@pytest.mark.parametrize(
    ("train", "test"), [("train.csv", "test.csv"), ("labels_train.tsv", "labels-test.csv")]
)
def test_a_table_that_names_no_part_is_not_used_beside_those_that_do(photos, train, test) -> None:
    table(photos / train, "image,label", *(f"{i}.png,{i % 2}" for i in range(6)))
    table(photos / test, "image,label", *(f"{i}.png,{i % 2}" for i in range(6, 10)))
    other = table(photos / "answers.csv", "image,label", *(f"{i}.png,0" for i in range(10)))
    found = listing(photos)
    assert (len(found.train), len(found.test or ())) == (6, 4)
    first = min(train, test)
    assert found.notes == (f"answers.csv names no part, as {first} does: it is not used",)
    table(other, "image,label,split", *(f"{i}.png,{i % 2},test" for i in range(3)))
    assert len(listing(photos).test or ()) == 7  # its lines name theirs


def test_a_table_that_is_given_is_used_whatever_it_is_called(photos) -> None:
    lines = (f"{i}.png,{i % 2}" for i in range(10))
    table(photos / "test.csv", "image,label", "1.png,0")
    assert len(listing(table(photos / "my_submission.csv", "image,label", *lines)).train) == 10


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("name", ["café 1", "images/café 1.png"])
def test_an_accent_of_another_form_is_the_same_name(photos, on_disk, in_table, name) -> None:
    for i in range(2):
        file = unicodedata.normalize(on_disk, f"café {i}.png")
        (photos / "images" / f"{i}.png").rename(photos / "images" / file)
    lines = ("images/2.png,a", unicodedata.normalize(in_table, f"{name},b"))
    found = listing(table(photos / "a.csv", "file,label", *lines))
    assert [Path(file.path).name for file in found.train] == [
        *("2.png", unicodedata.normalize(on_disk, "café 1.png"))
    ]


def test_files_that_are_no_images_are_counted(photos) -> None:
    for name in ("images/0.json", "README", "notes.csv"):
        (photos / name).touch()
    table(photos / "a.csv", "id,label", *(f"{i}.png,{i % 2}" for i in range(10)))
    assert listing(photos).notes == (
        "notes.csv has no column of files and one of labels: it is not used",
        "left out 2 files: 2 not named as an image that can be read (.json 1, no suffix 1)",
    )


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
