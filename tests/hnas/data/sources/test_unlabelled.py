"""Images whose label is -1 or missing, as in test sets that others judge, are left out and counted;
-1 beside 1 and no other is a class."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hnas.data import load, survey
from hnas.data.sources.given import give
from hnas.errors import InputError
from tests.hnas.data.sources.test_given import Pairs, Rows
from tests.hnas.data.sources.test_parquet import png

Labels = list[Any]
Write = Callable[[Path, str, Labels], Any]


def csv_table(root: Path, part: str, labels: Labels) -> str:
    for i in range(len(labels)):
        (root / f"{part}{i}.png").write_bytes(png(i))
    lines = [f"{part}{i}.png,{label}" for i, label in enumerate(labels)]
    (root / f"{part}.csv").write_text("\n".join(["file,label", *lines]))
    return str(root)


def parquet(root: Path, part: str, labels: Labels) -> str:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"image": [png(i) for i in range(len(labels))], "label": labels}
    pq.write_table(pa.table(columns), root / f"{part}.parquet")
    return str(root)


def tar(root: Path, part: str, labels: Labels) -> str:
    with tarfile.open(root / f"{part}.tar", "w") as file:
        for i, label in enumerate(labels):
            for suffix, content in (("png", png(i)), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{i}.{suffix}")
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return str(root)


def pairs(root: Path, part: str, labels: Labels) -> Any:
    return Pairs(len(labels), lambda i: Image.new("L", (8, 8), i), lambda i: labels[i])


def rows(root: Path, part: str, labels: Labels) -> Any:
    return Rows(len(labels), lambda i: Image.new("L", (8, 8), i), lambda i: labels[i])


def arrays(root: Path, part: str, labels: Labels) -> Any:
    values = np.arange(len(labels), dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    return values, np.array(labels)


KINDS = [csv_table, parquet, tar, pairs, rows, arrays]


def made(root: Path, write: Write, parts: dict[str, Labels]) -> str:
    found = {part: write(root, part, labels) for part, labels in parts.items()}
    return str(root) if isinstance(found["train"], str) else give(found)


@pytest.mark.parametrize("write", KINDS)
def test_a_test_part_without_labels(tmp_path, write) -> None:
    source = made(tmp_path, write, {"train": [0, 1] * 4, "val": [1, 0], "test": [-1] * 3})
    found = load(source, image=8, channels=1)
    assert len(found.train) == 8 and found.held_out == 0
    assert found.test is not None and found.test.labels.tolist() == [1, 0]
    what = "image" if source.startswith("python-") else "file"
    assert [note for note in found.notes if "left out" in note] == [
        f"left out 3 {what}s: 3 whose label is -1 or missing (test part 3)"
    ]
    assert any("is used as the test part" in note for note in found.notes)
    assert survey(source).images == 8 and found.notes == survey(source).notes


@pytest.mark.parametrize("write", KINDS)
def test_some_of_each_part(tmp_path, write) -> None:
    parts = {"train": [0, -1, 1, 0, 1], "val": [-1, 1], "test": [0, 1, -1]}
    found = load(made(tmp_path, write, parts), image=8, channels=1)
    assert found.train.pixels[:, 0, 0, 0].tolist() == [0, 2, 3, 4, 1]
    assert found.train.labels.tolist() == [0, 1, 0, 1, 1] and found.held_out == 1
    assert found.test is not None and found.test.pixels[:, 0, 0, 0].tolist() == [0, 1]
    [said] = found.notes
    assert said.endswith(
        "3 whose label is -1 or missing (held-out part 1, test part 1, train part 1)"
    )


@pytest.mark.parametrize("write", [kind for kind in KINDS if kind is not rows])
def test_minus_one_beside_one_is_a_class(tmp_path, write) -> None:
    parts = {"train": [1, -1, 1, -1], "test": [-1, 1]}
    found = load(made(tmp_path, write, parts), image=8, channels=1)
    assert found.classes == ("-1", "1") and found.notes == ()
    assert found.train.labels.tolist() == [1, 0, 1, 0]
    assert found.test is not None and found.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("write", [parquet, pairs, rows])
def test_none_is_no_label(tmp_path, write) -> None:
    found = load(made(tmp_path, write, {"train": [0, 1, None, 1]}), image=8, channels=1)
    assert found.train.pixels[:, 0, 0, 0].tolist() == [0, 1, 3]
    assert "1 whose label is -1 or missing (train part 1)" in found.notes[0]


@pytest.mark.parametrize("write", KINDS)
def test_nothing_but_images_without_labels_is_an_error(tmp_path, write) -> None:
    with pytest.raises(InputError, match="label"):
        load(made(tmp_path, write, {"train": [-1] * 4}), image=8, channels=1)


@pytest.mark.parametrize("labels", [[0, 2**40], [-2, 0], [2, 1, 9]])
@pytest.mark.parametrize("write", [pairs, arrays])
def test_numbers_that_count_no_classes_are_named(tmp_path, write, labels) -> None:
    said = f"got {min(labels)} to {max(labels)} for {len(labels)} images"
    with pytest.raises(InputError, match=f"count the classes from 0 or 1, {said}"):
        load(made(tmp_path, write, {"train": labels}), image=8, channels=1)
