"""Files that stand for others which were not fetched: told wherever a file is read."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hnas.data import load
from hnas.errors import InputError
from hnas.exchange.weights_file import read_weights
from hnas.persist.stand_in import stand_in

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 22\n"
PAGE = b"\n<!-- mirror 3 -->\n<!DOCTYPE html>\n<html><body>Sign in to download</body></html>"
FORMS = [
    pytest.param(POINTER, "a Git LFS pointer, which only names the file: git lfs pull", id="LFS"),
    pytest.param(PAGE, "a web page, which was saved instead of the file", id="page"),
    pytest.param(b"", "empty$", id="empty"),
]


@pytest.mark.parametrize(
    "head",
    [
        POINTER,
        POINTER.replace(b"git-lfs", b"hawser"),
        PAGE,
        b"\xef\xbb\xbf<HTML lang=en>",
        b"<html>" + bytes(2000),
        b"",
    ],
)
def test_what_stands_for_a_file(head: bytes) -> None:
    assert stand_in(head)


@pytest.mark.parametrize(
    "head",
    [
        b"version 3\n",
        b"<?xml version='1.0'?><svg/>",
        b"<htmlx>",
        b'{"a": "<html>"}',
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04",
        b" ",
        b"file,label\n",
    ],
)
def test_what_does_not(head: bytes) -> None:
    assert stand_in(head) == ""


@pytest.mark.parametrize(("content", "message"), FORMS)
@pytest.mark.parametrize("name", ["vit.safetensors", "vit.pth"])
def test_weights(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} holds no weights .*: it is {message}"):
        read_weights(tmp_path / name)


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("content", "message"), FORMS)
@pytest.mark.parametrize("archive", [False, True])
def test_images(tmp_path: Path, archive: bool, content: bytes, message: str) -> None:
    files = {f"{name}/{i}.png": png() for name in "ab" for i in range(4)} | {"a/2.png": content}
    root = tmp_path / "photos"
    root.mkdir()
    if archive:
        with tarfile.open(root / "photos.tar", "w") as tar:
            for name, value in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(value)
                tar.addfile(member, io.BytesIO(value))
    for name, value in {} if archive else files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(value)
    with pytest.raises(InputError) as error:
        load(str(root), image=8, channels=1)
    assert f"a/2.png: not a readable image: it is {message.rstrip('$')}" in str(error.value)
    rest = load(str(root), image=8, channels=1, skip_bad=True)
    assert len(rest.train) == 7 and len(rest.skipped) == 1


@pytest.mark.parametrize(("content", "message"), FORMS[:2])
@pytest.mark.parametrize(
    "name",
    ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "data_batch_1.bin", "train.bin.xz"],
)
def test_data_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    if "idx" in name:
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(
        InputError, match=f"{name}: cannot be read, fetch it again: it is {message}"
    ):
        load(str(tmp_path), image=8, channels=1)
