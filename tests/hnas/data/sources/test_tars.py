"""Tars of images: as WebDataset writes them, and of class folders."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from hnas.data import load
from hnas.data.size import Size
from hnas.data.sources.packing import pack
from hnas.data.sources.tars import listing
from hnas.errors import InputError


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (8, 8), value).save(content, "PNG")
    return content.getvalue()


def tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return path


def samples(start: int, n: int, said: str) -> dict[str, bytes]:
    """n images, image i of the value i, of the classes cat and dog in turn."""
    found = {}
    for i in range(start, start + n):
        name = ("cat", "dog")[i % 2]
        label = {"cls": str(i % 2), "txt": name, "json": json.dumps({"label": name})}[said]
        found |= {f"{i:05}.png": png(i), f"{i:05}.{said.replace('txt', 'cls.txt')}": label.encode()}
    return found


@pytest.mark.parametrize(
    ("said", "classes"), [("cls", ("0", "1")), ("txt", ("cat", "dog")), ("json", ("cat", "dog"))]
)
def test_shards_of_parts(tmp_path, said, classes) -> None:
    tar(tmp_path / "train-000.tar", samples(0, 6, said))
    tar(tmp_path / "train-001.tar", samples(6, 4, said))
    tar(tmp_path / "val-000.tar", samples(20, 4, said))
    tar(tmp_path / "test-000.tar", samples(30, 2, said))
    source = load(str(tmp_path), image=8, channels=1)
    assert source.classes == classes and source.held_out == 4 and source.notes == ()
    assert source.train.tensor()[:, 0, 0, 0].tolist() == [*range(10), *range(20, 24)]
    assert source.train.labels.tolist() == [0, 1] * 7
    assert source.test is not None and source.test.labels.tolist() == [0, 1]


def test_class_folders_in_a_tar_and_parts_as_folders(tmp_path) -> None:
    for part, n in (("train", 4), ("valid", 1)):
        tar(
            tmp_path / part / "a.tar",
            {f"{name}/{i}.png": png(i) for name in ("x", "y") for i in range(n)},
        )
    found = listing(tmp_path)
    assert found.classes == ("x", "y") and len(found.train) == 8 and len(found.test or ()) == 2
    assert "is used as the test part" in found.notes[0]


def test_one_tar_is_packed_as_it_is_loaded(tmp_path) -> None:
    path = tar(tmp_path / "set" / "images.tar", samples(0, 8, "cls"))
    pack(listing(path), tmp_path / "pack", Size(4, 1), shard_bytes=3 * 16)
    one, two = (load(str(p), image=4, channels=1) for p in (path, tmp_path / "pack"))
    assert torch.equal(one.train.tensor(), two.train.tensor())
    assert torch.equal(one.train.labels, two.train.labels)


def test_what_is_left_out_is_counted(tmp_path) -> None:
    members = samples(0, 6, "cls") | {"9.png": png(9), "a.npy": b"x", "README": b"x"}
    path = tar(tmp_path / "a.tar", members)
    assert listing(path).notes == (
        "left out 3 files: 2 not named as an image that can be read (.npy 1, no suffix 1), "
        "1 without a class in its tar (a.tar 1)",
    )


def test_a_tar_has_parts_as_folders_have(tmp_path) -> None:
    members = {
        f"./set/{part}/{name}/{i}.png": png(i)
        for part, n in (("train", 4), ("Test", 2))
        for name in ("x", "y")
        for i in range(n)
    }
    found = listing(tar(tmp_path / "images.tar", members | {"./loose.png": png(1)}))
    assert found.classes == ("x", "y") and len(found.train) == 8 and len(found.test or ()) == 4
    assert found.notes == ("left out 1 file: 1 without a class in its tar (images.tar 1)",)


def test_parts_in_a_tar_are_no_classes(tmp_path) -> None:
    members = {f"{part}/{i}.png": png(i) for part in ("train", "test") for i in range(3)}
    with pytest.raises(InputError, match="has no labelled images"):
        listing(tar(tmp_path / "images.tar", members))


def test_files_of_a_class_folder_are_images_whatever_their_names_have_in_common(tmp_path) -> None:
    names = ("1.png", "1.jpg", "1.of.2.png", "2.of.2.png")
    members = {f"{c}/{name}": png(9) for c in "xy" for name in names}
    assert len(listing(tar(tmp_path / "a.tar", members)).train) == 8


def test_a_member_that_was_appended_again_replaces_the_first(tmp_path) -> None:
    """As tar unpacks it."""
    path = tar(tmp_path / "a.tar", {f"{c}/{i}.png": png(i) for c in "xy" for i in range(3)})
    with tarfile.open(path, "a") as made:
        info = tarfile.TarInfo("x/1.png")
        info.size = len(png(99))
        made.addfile(info, io.BytesIO(png(99)))
    assert load(str(path), image=8, channels=1).train.tensor()[:3, 0, 0, 0].tolist() == [0, 99, 2]


def test_no_image_of_a_tar_is_lost_without_a_word(tmp_path) -> None:
    more = {"00000.jpg": png(9), "00001.mask.png": png(9), "._00002.png": b"x"}
    path = tar(tmp_path / "train.tar", samples(0, 6, "cls") | more)
    with tarfile.open(path, "a") as made:
        link = tarfile.TarInfo("00006.png")
        link.type, link.linkname = tarfile.SYMTYPE, "00001.png"
        made.addfile(link)
    for name in ("lost.png", "README.md", ".cache/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = listing(tmp_path)
    assert len(found.train) == 6
    assert found.notes == (
        "left out 7 files: 2 hidden (.cache 1, .png 1), "
        "2 beside the files that are read (.md 1, .png 1), 1 links in a tar (.png 1), "
        "1 called as a part of another member of their tar (.mask.png 1), "
        "1 called as another image of their tar (.jpg 1)",
    )


def test_a_torn_or_packed_tar_is_named(tmp_path) -> None:
    path = tar(tmp_path / "a.tar", samples(0, 6, "cls"))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"a\.tar: is no whole tar"):
        load(str(path), image=8, channels=1)
    path.unlink()
    tar(tmp_path / "a.tar.gz", samples(0, 6, "cls"), "w:gz")
    with pytest.raises(InputError, match=r"a\.tar\.gz: .* unpack it to \.tar"):
        load(str(tmp_path), image=8, channels=1)


@pytest.mark.parametrize("alone", [False, True])
def test_a_folder_above_the_data_names_no_part(tmp_path, alone) -> None:
    made = tar(tmp_path / "test" / "images.tar", samples(0, 6, "txt"))
    source = load(str(made if alone else made.parent), image=8, channels=1)
    assert len(source.train) == 6 and source.test is None


def test_a_packed_tar_is_to_be_unpacked(tmp_path) -> None:
    made = tar(tmp_path / "images.tar.xz", samples(0, 6, "txt"), "w:xz")
    with pytest.raises(InputError, match=r"images\.tar\.xz: .* unpack it to \.tar$"):
        load(str(made), image=8, channels=1)


def test_a_table_without_a_line_beside_tars_is_none(tmp_path) -> None:
    tar(tmp_path / "images.tar", samples(0, 6, "txt"))
    (tmp_path / "notes.csv").touch()
    assert len(load(str(tmp_path), image=8, channels=1).train) == 6


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path, kind) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.size = kind, 2**50
    (tmp_path / "train.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(InputError, match=r"train.tar: "):
        load(str(tmp_path), image=8, channels=1)


def test_a_class_that_is_no_json_is_none(tmp_path) -> None:
    """Lists in lists end json's recursion, long numbers Python's patience."""
    for i, said in enumerate(("[" * 60000, '{"label": ' + "9" * 5000 + "}", "{")):
        tar(tmp_path / f"{i}.tar", {"1.png": png(1), "1.json": said.encode()})
    with pytest.raises(InputError, match="has no labelled images"):
        load(str(tmp_path), image=8, channels=1)


def test_a_label_of_5000_digits_is_no_name(tmp_path) -> None:
    many = {f"{c}.cls": (c * 5000).encode() for c in "12"}
    tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": png(2), **many})
    with pytest.raises(InputError, match=r"has at most 255 characters, one has 5,000: '[12]{40}'"):
        load(str(tmp_path), image=8, channels=1)
