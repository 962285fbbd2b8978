"""A pack is what the folder is, whatever happens while it is made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hnas.data import load, prepare, survey
from hnas.data.known import known
from hnas.data.size import Size
from hnas.data.sources.folders import listing
from hnas.data.sources.load import listed
from hnas.data.sources.pack import check, open_pack
from hnas.data.sources.packing import pack
from hnas.data.sources.shards import Made
from hnas.errors import HnasError, InputError, StateError
from hnas.settings import DataRules
from tests.support.forked import Process
from tests.support.sessions import wait_for_all

SIDE, CHANNELS = 8, 3
BYTES = CHANNELS * SIDE**2


def packed(
    folder: Path,
    to: Path,
    *,
    image: int = SIDE,
    channels: int = CHANNELS,
    skip_bad: bool = False,
    check: bool = False,
    whole: bool = False,
    processes: int = 1,
    images_a_shard: int = 2,
    **how: str,
) -> list[Made]:
    """Packs in shards of few images; what was told of each."""
    told: list[Made] = []
    counts: list[tuple[int, int]] = []

    def tell(made: Made, done: int, shards: int) -> None:
        told.append(made)
        counts.append((done, shards))

    size = images_a_shard * channels * image**2 * (4 if whole else 3) // 3
    found = listed(str(folder))
    assert found is not None
    pack(
        found,
        to,
        Size(image, channels, whole=whole, **how),
        skip_bad=skip_bad,
        check=check,
        processes=processes,
        shard_bytes=size,
        on_shard=tell,
    )
    assert counts == [(i + 1, len(told)) for i in range(len(told))]
    return told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("images_a_shard", [1, 2, 5, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_pixels_are_the_folders_bit_for_bit(
    pets: Path, tmp_path: Path, channels: int, images_a_shard: int
) -> None:
    to = tmp_path / "pack"
    packed(pets, to, channels=channels, images_a_shard=images_a_shard)
    one, two = (load(str(path), image=SIDE, channels=channels) for path in (pets, to))
    assert one.classes == two.classes and one.skipped == two.skipped == ()
    assert one.test is not None and two.test is not None
    for a, b in ((one.train, two.train), (one.test, two.test)):
        assert torch.equal(a.tensor(), b.tensor()) and torch.equal(a.labels, b.labels)
        assert a.fingerprint == b.fingerprint


def test_a_folder_without_a_test_part(pets: Path, tmp_path: Path) -> None:
    packed(pets / "train", tmp_path / "pack")
    source = load(str(tmp_path / "pack"), image=SIDE, channels=CHANNELS)
    assert source.test is None and len(source.train) == 6


def test_real_images_split_and_normalised_as_the_folders(shared: Path, tmp_path: Path) -> None:
    folder, to = shared / "imagefolder-caltech101-20", tmp_path / "pack"
    packed(folder, to, image=32, images_a_shard=150)
    (a, split_a), (b, split_b) = (
        prepare(DataRules(source=str(path), limit=500), image=32, channels=3, seed=1)
        for path in (folder, to)
    )
    assert split_a.fingerprint == split_b.fingerprint
    assert torch.equal(a.mean, b.mean) and torch.equal(a.std, b.std)
    assert a.train.fingerprint == b.train.fingerprint
    assert a.held_out.fingerprint == b.held_out.fingerprint


@pytest.mark.parametrize("whole", [False, True])
def test_many_processes_write_the_same_bytes(pets: Path, tmp_path: Path, whole: bool) -> None:
    packed(pets, tmp_path / "one", whole=whole)
    told = packed(pets, tmp_path / "two", whole=whole, processes=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len({p.name for p in told}) == 4


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_there_is_kept_and_what_is_torn_made_anew(
    pets: Path, tmp_path: Path, whole: bool
) -> None:
    to = tmp_path / "pack"
    packed(pets, to, whole=whole)
    before = contents(to)
    assert [p.kept for p in packed(pets, to, whole=whole)] == [True] * 4
    torn = to / "train-00001.u8"
    torn.write_bytes(torn.read_bytes()[:-1])
    (to / "train-00002.u8").unlink()
    (to / "test-00000.json").write_bytes(b"{")
    (to / f".train-00000.u8.{2**22 + 1}.tmp").write_bytes(b"of a process that is gone")
    assert [p.kept for p in packed(pets, to, whole=whole)] == [True, False, False, False]
    assert contents(to) == before


def test_a_pack_of_squares_is_written_as_an_older_hnas_wrote_it(pets: Path, tmp_path: Path) -> None:
    """Each reads the other's; whole pictures are a format of their own, which it refuses."""
    packed(pets, tmp_path / "squares")
    packed(pets, tmp_path / "whole", whole=True)
    indices = [json.loads((tmp_path / p / "pack.json").read_text()) for p in ("squares", "whole")]
    assert [index["format"] for index in indices] == ["hnas pack 1", "hnas pack 2"]
    shards = [
        json.loads((tmp_path / p / "train-00000.json").read_text()) for p in ("squares", "whole")
    ]
    assert set(indices[1]) - set(indices[0]) == {"whole"}
    assert set(shards[1]) - set(shards[0]) == {"shapes"}


def test_another_content_of_a_file_is_packed_again(
    pets: Path, tmp_path: Path, write_image: Callable[..., Path]
) -> None:
    to = tmp_path / "pack"
    packed(pets, to)
    array = np.full((40, 40, 3), 99, dtype=np.uint8)
    write_image(pets / "train" / "cat" / "2.Png", array)
    assert [p.kept for p in packed(pets, to)] == [True, False, True, True]
    folder = load(str(pets), image=SIDE, channels=CHANNELS)
    assert torch.equal(load(str(to), image=SIDE, channels=3).train.tensor(), folder.train.tensor())


def test_bad_images_are_named_or_left_out(pets: Path, tmp_path: Path) -> None:
    to = tmp_path / "pack"
    for name in ("train/cat/0.jpg", "val/dog/0.jpg"):
        (pets / name).write_bytes(b"no image")
    message = f"{pets / 'train/cat/0.jpg'}: not a readable image"
    for processes in (1, 2):
        with pytest.raises(InputError, match=re.escape(message)) as raised:
            packed(pets / "train", tmp_path / f"none{processes}", processes=processes)
        assert str(raised.value).endswith("leave such files out: --skip-bad-images")
    told = packed(pets, to, skip_bad=True)
    assert [p.skipped for p in told] == [("train/cat/0.jpg",), (), (), ("val/dog/0.jpg",)]
    one = load(str(pets), image=SIDE, channels=CHANNELS, skip_bad=True)
    two = load(str(to), image=SIDE, channels=CHANNELS)  # they are left out for good
    assert torch.equal(one.train.tensor(), two.train.tensor())
    assert torch.equal(one.train.labels, two.train.labels)
    assert two.skipped == ("train/cat/0.jpg", "val/dog/0.jpg")
    with pytest.raises(InputError, match="not a readable"):
        packed(pets, to)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": 9}, "was begun with images of 8 pixels a side, you asked for 9"),
        ({"channels": 1}, "was begun with images of 3 channels, you asked for 1"),
        ({"background": "grey"}, "was begun with transparent images laid on white, you asked for"),
        ({"interpolation": "bicubic"}, "was begun with images resized by bilinear, you asked for"),
        (
            {"whole": True},
            "was begun with whole pictures: False, you asked for True",
        ),
    ],
)
def test_a_pack_of_another_kind_is_refused(
    pets: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    packed(pets, tmp_path / "pack")
    before = contents(tmp_path / "pack")
    with pytest.raises(InputError, match=re.escape(message)):
        packed(pets, tmp_path / "pack", **changed)
    assert contents(tmp_path / "pack") == before


def test_a_pack_of_other_files_is_refused(pets: Path, tmp_path: Path) -> None:
    packed(pets, tmp_path / "pack")
    other = shutil.copytree(pets, tmp_path / "other")
    (other / "train" / "cat" / "0.jpg").rename(other / "train" / "cat" / "00.jpg")
    with pytest.raises(InputError, match="was begun with files whose names have the sha256"):
        packed(other, tmp_path / "pack")


def changed(pack: Path) -> str:
    """What loading the pack tells of its folder."""
    notes = load(str(pack), image=SIDE, channels=CHANNELS).notes
    return " ".join(note for note in notes if "since it was packed" in note)


@pytest.mark.parametrize(("whole", "side"), [(False, "--image"), (True, "--short-side")])
def test_the_command_that_follows_a_folder_has_all_that_the_pack_was_made_with(
    pets: Path, tmp_path: Path, whole: bool, side: str
) -> None:
    """With less it would be refused, as of a pack of another kind."""
    how = {"background": "grey", "interpolation": "bicubic"}
    to = tmp_path / "pack"
    packed(pets, to, whole=whole, channels=1, **how)
    (pets / "train" / "cat" / "0.jpg").unlink()
    note = load(str(to), image=SIDE, channels=1, **how).notes[-1]
    options = f"{side} {SIDE} --channels 1 --background grey --interpolation bicubic"
    assert note.endswith(f"hnas data pack {pets} --to {to} {options}")


def test_a_pack_follows_its_folder(
    pets: Path, tmp_path: Path, write_image: Callable[..., Path]
) -> None:
    to, fresh = tmp_path / "pack", tmp_path / "fresh"
    packed(pets, to)
    assert changed(to) == ""
    cat = pets / "train" / "cat"
    (cat / "0.jpg").unlink()
    write_image(cat / "4.png", np.full((9, 9, 3), 7, dtype=np.uint8))
    write_image(pets / "train" / "cow" / "1.png", np.full((9, 9, 3), 7, dtype=np.uint8))
    assert "(images: 2 new, 1 gone)" in changed(to)
    packed(pets, to)
    assert changed(to) == ""
    packed(pets, fresh)
    assert contents(to) == contents(fresh)
    shutil.rmtree(pets / "train" / "cow")
    (cat / "4.png").unlink()
    packed(pets, to)  # with fewer shards
    shutil.rmtree(fresh)
    packed(pets, fresh)
    assert contents(to) == contents(fresh)


@pytest.mark.parametrize(("line", "times"), [(",b", 1), (",c", 3), (",a,test", 1)])
def test_another_class_or_part_in_a_table_is_noticed(tmp_path: Path, line: str, times: int) -> None:
    """No image file is touched; with the last one another class may be renamed, too."""
    folder, to = tmp_path / "photos", tmp_path / "pack"
    folder.mkdir()
    for i in range(6):
        Image.new("RGB", (8, 8), (i,) * 3).save(folder / f"{i}.bmp")
    rows = [f"{i}.bmp,{'ab'[i % 2]}," for i in range(6)]
    (folder / "a.csv").write_text("\n".join(["file,label,split", *rows]))
    packed(folder, to)
    assert changed(to) == ""
    for i in range(0, 2 * times, 2):
        rows[i] = f"{i}.bmp{line}{',' * (line.count(',') == 1)}"
    (folder / "a.csv").write_text("\n".join(["file,label,split", *rows]))
    assert f"(images: {times} of another class or part)" in changed(to)
    packed(folder, to)
    assert changed(to) == ""


@pytest.mark.parametrize("check", [False, True])
def test_another_content_of_the_same_size_is_noticed_by_its_time_or_by_checking(
    tmp_path: Path, check: bool
) -> None:
    folder, to = tmp_path / "photos", tmp_path / "pack"
    for name, value in (("a", 10), ("b", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (value + i,) * 3).save(folder / name / f"{i}.bmp")
    packed(folder, to)
    file = folder / "b" / "1.bmp"
    before = file.stat()
    Image.new("RGB", (8, 8), (99,) * 3).save(file)
    assert file.stat().st_size == before.st_size
    if check:  # a copy that keeps times
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert all(made.kept for made in packed(folder, to))
        assert changed(to) == ""
    else:
        assert "(images: 1 of another time)" in changed(to)
    made = packed(folder, to, check=check)
    assert [m.kept for m in made] == [True, True, False]
    one, two = (load(str(p), image=SIDE, channels=3).train.tensor() for p in (folder, to))
    assert torch.equal(one, two)


def test_another_time_of_the_same_content_keeps_the_shard(pets: Path, tmp_path: Path) -> None:
    to = tmp_path / "pack"
    packed(pets, to)
    os.utime(pets / "train" / "cat" / "0.jpg")
    assert "(images: 1 of another time)" in changed(to)
    assert all(made.kept for made in packed(pets, to))
    assert changed(to) == ""


def test_places_that_are_no_place_for_a_pack(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="is no pack and not empty"):
        packed(pets, tmp_path / "full")
    with pytest.raises(InputError, match="must not lie in the folder that is packed"):
        packed(pets, pets / "pack")


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """a, b: 30 JPEGs of noise each, 64 pixels a side: 12,288 bytes decoded."""
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "many" / name).mkdir(parents=True)
        for i in range(30):
            noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "many" / name / f"{i}.jpg")
    return tmp_path / "many"


def test_a_disk_that_is_too_small_is_told_before(many: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 500_000) as disk:
        with pytest.raises(StateError, match=r"take 0\.00 GB .*free\. Free some, choose another"):
            packed(many, disk / "pack", image=64, images_a_shard=8)
        assert list((disk / "pack").glob("*.u8")) == []


def test_a_disk_that_fills_up_loses_nothing(many: Path, tmp_path: Path) -> None:
    packed(many, tmp_path / "whole", image=64, images_a_shard=8)
    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        ballast = disk / "ballast"

        def fill(made: Made, done: int, shards: int) -> None:
            free = shutil.disk_usage(disk).free
            if done == 2:  # another program, meanwhile
                ballast.write_bytes(bytes(free - 50_000))

        with pytest.raises(StateError, match=r"No space left .* kept; free some space and run"):
            pack(
                listing(many),
                disk / "pack",
                Size(64, 3),
                shard_bytes=8 * 3 * 64 * 64,
                on_shard=fill,
            )
        assert sorted(p.name for p in (disk / "pack").glob("*.u8")) == [
            "train-00000.u8",
            "train-00001.u8",
        ]
        assert list((disk / "pack").glob(".*")) == []  # nothing half done takes up the disk
        ballast.unlink()
        assert [p.kept for p in packed(many, disk / "pack", image=64, images_a_shard=8)] == [
            *[True] * 2,
            *[False] * 6,
        ]
        assert contents(disk / "pack") == contents(tmp_path / "whole")


KILLED = """
import sys
from pathlib import Path
from hnas.data.size import Size
from hnas.data.sources.folders import listing
from hnas.data.sources.load import listed
from hnas.data.sources.packing import pack
pack(listing(Path(sys.argv[1])), Path(sys.argv[2]), Size(64, 3), processes=int(sys.argv[3]),
     shard_bytes=8 * 3 * 64 * 64)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_packing_goes_on_to_the_same_bytes(
    many: Path, tmp_path: Path, root: Path, processes: int
) -> None:
    """kill -9 while a later shard is written."""
    packed(many, tmp_path / "whole", image=64, images_a_shard=8)
    to = tmp_path / "pack"
    command = ["-c", KILLED, many, to, processes]
    with Process(command, start_new_session=True) as running:
        while running.poll() is None and not list(to.glob("train-*.json")):
            time.sleep(0.0005)
        running.kill()
    assert running.returncode == -signal.SIGKILL
    wait_for_all(running.pid)
    with pytest.raises(StateError, match=r"is not finished\. Finish it: hnas data pack"):
        open_pack(to)
    finished = len(list(to.glob("train-*.json")))
    told = packed(many, to, image=64, images_a_shard=8)
    assert sum(p.kept for p in told) == finished >= 1
    assert contents(to) == contents(tmp_path / "whole")


def test_a_pack_that_is_not_finished_cannot_be_loaded(pets: Path, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(listing(pets), tmp_path / "pack", Size(SIDE, 3), processes=2, on_shard=stop)
    with pytest.raises(StateError, match="is not finished"):
        load(str(tmp_path / "pack"), image=SIDE, channels=3)


def test_a_flipped_bit_is_found_and_named(pets: Path, tmp_path: Path) -> None:
    to = tmp_path / "pack"
    packed(pets, to)
    assert dict(check(open_pack(to))) == {
        name: True for name in sorted(contents(to)) if name.endswith(".u8")
    }
    path = to / "train-00001.u8"
    data = bytearray(path.read_bytes())
    data[17] ^= 1
    path.write_bytes(data)
    assert [name for name, holds in check(open_pack(to)) if not holds] == ["train-00001.u8"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("spoil", "name", "message"),
    [
        (Path.unlink, "train-00001.u8", r"No such file .*is made again"),
        (_cut, "train-00001.u8", "2 images are 384 bytes, it has 383"),
        (_cut, "train-00001.json", "is not the one that pack.json names"),
        (_cut, "pack.json", None),
    ],
)
def test_a_pack_that_is_not_whole_is_told(
    pets: Path, tmp_path: Path, spoil: Callable[[Path], object], name: str, message: str | None
) -> None:
    to = tmp_path / "pack"
    packed(pets, to)
    spoil(to / name)
    if message is None:  # a newline at the end is nothing lost
        assert len(load(str(to), image=SIDE, channels=3).train) == 6
        _cut(to / name)
        message = "pack.json: is not what hnas data pack wrote"
    with pytest.raises(StateError, match=f"{name}.*{message}|{message}"):
        load(str(to), image=SIDE, channels=3)


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        '{"format": "another"}',
        '{"format": "hnas pack 1"}',
        '{"format": "hnas pack 1", "source": "", "image": "8", "channels": 3, "classes": [],'
        ' "files": "", "shards": null}',
        '{"format": "hnas pack 1", "source": "", "image": 8, "channels": 3, "classes": [],'
        ' "files": "", "shards": {"train": ["../x"], "test": []}}',
    ],
)
def test_an_index_that_is_something_else(tmp_path: Path, index: str) -> None:
    (tmp_path / "pack.json").write_text(index)
    with pytest.raises(StateError, match="is not what hnas data pack wrote"):
        load(str(tmp_path), image=SIDE, channels=3)


def _no_shards(index: dict[str, Any], to: Path) -> None:
    index["shards"] = {"train": [], "test": []}


def _only_a_test_part(index: dict[str, Any], to: Path) -> None:
    index["shards"]["train"] = []


def _all_left_out(index: dict[str, Any], to: Path) -> None:
    record = json.loads((to / "train-00000.json").read_text())
    gone = {key: [] for key in ("names", "labels", "sums", "squares", "times", "contents")}
    data = json.dumps({**record, **gone, "hashes": "", "skipped": record["names"]}).encode()
    (to / "train-00000.json").write_bytes(data)
    (to / "train-00000.u8").write_bytes(b"")
    kept = {**index["shards"]["train"][0], "record": hashlib.sha256(data).hexdigest()}
    index["shards"]["train"] = [kept]


@pytest.mark.parametrize("change", [_no_shards, _only_a_test_part, _all_left_out])
def test_a_pack_without_training_images_is_told(
    pets: Path, tmp_path: Path, change: Callable[[dict[str, Any], Path], None]
) -> None:
    to = tmp_path / "pack"
    packed(pets, to)
    index = json.loads((to / "pack.json").read_text())
    change(index, to)
    (to / "pack.json").write_text(json.dumps(index))
    left = 2 if change is _all_left_out else 0
    said = f"pack.json: a pack needs training images, this one has none ({left} files were left"
    for ask in (open_pack, lambda path: load(str(path), image=SIDE, channels=3)):
        with pytest.raises(StateError, match=re.escape(said)):
            ask(to)


def test_a_pack_of_an_older_hnas_says_what_it_cannot_tell(pets: Path, tmp_path: Path) -> None:
    to = tmp_path / "pack"
    packed(pets, to)
    before = load(str(to), image=SIDE, channels=3).notes
    index = json.loads((to / "pack.json").read_text())
    for part, shards in index["shards"].items():
        for i, shard in enumerate(shards):
            path = to / f"{part}-{i:05}.json"
            record = json.loads(path.read_text())
            del record["hashes"]
            path.write_text(json.dumps(record))
            shard["record"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (to / "pack.json").write_text(json.dumps(index))
    source = load(str(to), image=SIDE, channels=3)
    [said] = [note for note in source.notes if note not in before]
    assert "images that are in two of its parts are not looked for" in said
    hashes = known(source)
    assert hashes.test is not None
    keys = {*hashes.train.pixels.tolist(), *hashes.test.pixels.tolist()}
    assert len(keys) == len(hashes.train.pixels) + len(hashes.test.pixels)


def test_a_pack_may_be_moved(pets: Path, tmp_path: Path) -> None:
    packed(pets, tmp_path / "pack")
    before = load(str(tmp_path / "pack"), image=SIDE, channels=3).train.tensor()
    moved = (tmp_path / "pack").rename(tmp_path / "moved")
    shutil.rmtree(pets)
    again = load("moved", image=SIDE, channels=3, root=moved.parent)
    assert torch.equal(again.train.tensor(), before)


def test_images_of_another_size_are_refused(pets: Path, tmp_path: Path) -> None:
    packed(pets, tmp_path / "pack")
    message = (
        "the pack has images of 8 pixels a side and 3 channels, you asked for 16 and 1. Change "
        "net.image and net.channels in the plan, or pack again: hnas data pack --image 16"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        load(str(tmp_path / "pack"), image=16, channels=1)


WAYS = [("background", "white", "grey"), ("interpolation", "bilinear", "bicubic")]


@pytest.mark.parametrize(("way", "usual", "other"), WAYS)
def test_images_that_were_made_otherwise_are_refused(
    pets: Path, tmp_path: Path, way: str, usual: str, other: str
) -> None:
    packed(pets, tmp_path / "pack", **{way: other})
    ask = partial(load, str(tmp_path / "pack"), image=SIDE, channels=CHANNELS)
    message = f"{other}, you asked for {usual}. Change data.{way} in the plan, or pack again: "
    with pytest.raises(InputError, match=re.escape(message + f"hnas data pack --{way} {usual}")):
        ask()
    folder = load(str(pets), image=SIDE, channels=CHANNELS, **{way: other})
    assert torch.equal(ask(**{way: other}).train.tensor(), folder.train.tensor())
    assert getattr(survey(str(tmp_path / "pack")), way) == other


def test_a_survey_of_a_pack(pets: Path, tmp_path: Path) -> None:
    packed(pets, tmp_path / "pack", image=9)
    found = survey(str(tmp_path / "pack"))
    assert (found.images, found.classes, found.channels) == (6, 2, 3)
    assert found.packed and found.side == 9 and found.own_test


def test_ctrl_c_while_processes_start_waits_for_none(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard of large images takes longer than a process that is told to end."""
    submit, asked = ProcessPoolExecutor.submit, []

    def interrupted(pool: ProcessPoolExecutor, *args: Any) -> Any:
        if asked:
            raise KeyboardInterrupt
        asked.append(submit(pool, *args))
        while not asked[0].running():
            time.sleep(0.01)
        return asked[0]

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packed(many, tmp_path / "pack", image=1500, images_a_shard=4, processes=2)
    assert [path.name for path in (tmp_path / "pack").iterdir()] == ["pack.json"]


def test_a_process_that_is_killed_is_told(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does where memory runs out."""

    def kill(*_: object) -> None:
        import multiprocessing

        for process in multiprocessing.active_children():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(HnasError, match=r"was killed, by lack of memory perhaps\. The shards"):
        pack(
            listing(many),
            tmp_path / "pack",
            Size(64, 3),
            processes=2,
            shard_bytes=4 * 3 * 64 * 64,
            on_shard=kill,
        )
