"""Parquet files as Hugging Face's hub has them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from hnas.data import load, survey
from hnas.data.size import Size
from hnas.data.sources.packing import pack
from hnas.data.sources.parquet import listing
from hnas.data.sources.rows import image_bytes
from hnas.errors import InputError
from tests.support.peak import peak_of


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (8, 8), value).save(content, "PNG")
    return content.getvalue()


def table(path: Path, n: int, *, struct: bool = True, names: tuple[str, ...] = ()) -> Path:
    """n images in groups of three, image i of the value i, of two classes in turn."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": png(i), "path": None} if struct else png(i) for i in range(n)]
    made = pa.table({"image" if struct else "img": images, "label": [i % 2 for i in range(n)]})
    if names:
        features = {"label": {"names": list(names), "_type": "ClassLabel"}}
        about = {"huggingface": json.dumps({"info": {"features": features}})}
        made = made.replace_schema_metadata(about)
    pq.write_table(made, path, row_group_size=3)
    return path


@pytest.mark.parametrize("struct", [True, False])
@pytest.mark.parametrize("names", [(), ("cat", "dog")])
@pytest.mark.parametrize("place", ["data/train-00000-of-00001.parquet", "train.parquet"])
def test_a_repository_of_the_hub(tmp_path, struct, names, place) -> None:
    train = table(tmp_path / place, 10, struct=struct, names=names)
    table(train.with_name(train.name.replace("train", "validation")), 4, struct=struct, names=names)
    table(train.with_name(train.name.replace("train", "test")), 2, struct=struct, names=names)
    source = load(str(tmp_path), image=8, channels=1)
    assert source.classes == (names or ("0", "1")) and source.held_out == 4
    assert source.train.tensor()[:, 0, 0, 0].tolist() == [*range(10), *range(4)]
    assert source.test is not None and source.test.labels.tolist() == [0, 1]
    assert survey(str(tmp_path)).images == 10


def test_what_lies_beside_is_counted(tmp_path) -> None:
    table(tmp_path / "data" / "train.parquet", 8)
    for name in ("README.md", "more/1.png", ".gitattributes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert listing(tmp_path).notes == (
        "left out 3 files: 1 hidden (.gitattributes 1), "
        "2 beside the files that are read (.md 1, .png 1)",
    )


def test_it_is_packed_as_it_is_loaded(tmp_path) -> None:
    path = table(tmp_path / "set" / "a.parquet", 8)
    pack(listing(path), tmp_path / "pack", Size(4, 1), shard_bytes=3 * 16)
    one, two = (load(str(p), image=4, channels=1) for p in (path, tmp_path / "pack"))
    assert torch.equal(one.train.tensor(), two.train.tensor())


def test_columns_that_are_not_there_are_named(tmp_path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"x": [1], "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="needs a column image or img or images, it has x, label"):
        load(str(tmp_path), image=8, channels=1)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 rubbish")
    with pytest.raises(InputError, match=r"a\.parquet: is no whole Parquet file"):
        load(str(tmp_path), image=8, channels=1)


def test_without_pyarrow_it_is_said_what_is_missing(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        InputError, match=r"need the package pyarrow: pip install 'hnas\[parquet\]'"
    ):
        load(str(tmp_path), image=8, channels=1)


def rows(path: Path, images: list[bytes], labels: list[str]) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = [{"bytes": one, "path": None} for one in images]
    pq.write_table(pa.table({"image": column, "label": labels}), path, compression="zstd")
    return path


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ([b"x"] * 10**5, ["a"] * 10**5),
        ([bytes(2**24) + bytes([i]) for i in range(5)], ["a"] * 5),
        ([b"x"] * 5, ["a" * 2**24 + str(i) for i in range(5)]),
    ],
    ids=["rows", "images", "labels"],
)
def test_a_small_file_that_becomes_a_large_one_is_refused(tmp_path, images, labels) -> None:
    path = rows(tmp_path / "train.parquet", images, labels)
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError) as caught:
        load(str(path), image=8, channels=1)
    said = str(caught.value)
    assert "bytes cannot hold" in said and len(said) < 500


def test_equal_values_are_held_once(tmp_path) -> None:
    """As in the file: a few bytes for each row, whatever it has."""
    large = bytes(2**22)
    path = rows(tmp_path / "train.parquet", [large] * 60, ["a", "b" * 2**22] * 30)
    assert path.stat().st_size < 10**5

    def read() -> None:
        with pytest.raises(InputError, match="at most 255 characters"):
            load(str(path), image=8, channels=1)
        assert image_bytes(str(path), "image", 59) == large

    assert peak_of(read) < 60 * 2**20


def test_a_page_that_is_damaged_is_told(tmp_path) -> None:
    path = rows(tmp_path / "train.parquet", [png(1)] * 50, ["a"] * 50)
    content = bytearray(path.read_bytes())
    foot = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-foot] = b"\xff" * (len(content) - foot - 4)
    path.write_bytes(content)
    with pytest.raises(InputError, match="its column label cannot be read: "):
        load(str(path), image=8, channels=1)
