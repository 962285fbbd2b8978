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
from hnas.data.sources.files import Size
from hnas.data.sources.packing import pack
from hnas.data.sources.parquet import listing
from hnas.errors import InputError


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
