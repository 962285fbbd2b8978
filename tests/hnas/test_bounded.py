"""Bounded work: any bytes of a file cost time and memory that grow with the file, not with a claim.

Each file is read as a command reads it: by a value or one of hnas's errors, within a limit of CPU
time and of memory. `make slow` has files that are a hundred times as large.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hnas.data import load as load_data
from hnas.data.size import Size
from hnas.data.sources.files import File
from hnas.data.sources.files import read as read_image
from hnas.data.sources.pack_files import read_index
from hnas.errors import HnasError, InputError
from hnas.exchange.export import is_network, load
from hnas.exchange.weights_file import read_weights
from hnas.studies.plan.toml import load_plan
from hnas.studies.run.folder import PLAN, shared_run
from hnas.studies.run.history import read_history
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.training import checkpoint
from tests.support.one_trial import write
from tests.support.peak import peak_of
from tests.support.tiny import TINY

SECONDS = 2.0
"""CPU time of one file: most need milliseconds."""
ROOM = 64 * 2**20
"""Bytes above fifty times the file."""

Reader = Callable[[Path], object]


def _run(folder: Path) -> object:
    return shared_run(folder).about


def _history(folder: Path) -> object:
    (folder / PLAN).write_text(TINY)
    return read_history(shared_run(folder))


READERS: dict[str, tuple[str, Reader]] = {
    "a plan": (PLAN, lambda folder: load_plan(folder / PLAN)),
    "a run's plan": (PLAN, _run),
    "the history of a run": ("history.jsonl", _history),
    "an index of checkpoints": ("net.json", lambda folder: checkpoint.load(folder / "net")),
    "a network's description": ("net.json", lambda folder: load(folder / "net")),
    "a pack's index": ("pack.json", read_index),
    "weights in safetensors": ("w.safetensors", lambda f: read_weights(f / "w.safetensors")),
    "weights of torch.save": ("w.pth", lambda folder: read_weights(folder / "w.pth")),
}


def _data(folder: Path) -> object:
    return load_data(str(folder), image=8, channels=1)


READERS |= {
    "an image": ("a.png", lambda folder: read_image(File(str(folder / "a.png"), 0), Size(8, 1))),
    **{
        f"images in {name}": (name, _data)
        for name in ("labels.csv", "a.tar", "train-images-idx3-ubyte", "train.bin")
    },
}


def hostile(n: int) -> Iterator[bytes]:
    """Bytes that make simple readers slow, large or endless, about `n` of each."""
    rng = random.Random(0)
    yield b""
    yield rng.randbytes(n)
    yield bytes(n)
    for bracket in (b"[", b'{"a":', b"a = [", b"[[", b"(", b"{"):
        yield bracket * (n // len(bracket))
    yield b".".join([b"a"] * (n // 2)) + b" = 1"
    yield b"[" + b".".join([b"a"] * (n // 2)) + b"]"
    yield b"a = " + b"9" * n
    yield b"9" * n
    yield b'{"versions": ' + b"9" * n + b"}"
    yield b"".join(b"k%d = 1\n" % i for i in range(n // 10))
    yield json.dumps({"versions": [{"file": "x", "sha256": "", "meta": {}}] * (n // 50)}).encode()
    yield json.dumps({"format": "hnas pack 1", "image": 10**9, "channels": 3}).encode()
    yield b'"' + b"\\" * n + b'"'
    yield b"\n" * n
    yield struct.pack("<Q", 2**63) + b"{" * n  # a header of safetensors as long as it claims
    yield struct.pack("<Q", n) + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]'
    yield b"\x80\x02" + b"]" * n  # pickles: lists in lists, a text as long as it claims
    yield b"\x80\x02X" + struct.pack("<I", 2**31 - 1) + b"a" * n
    yield pickle.dumps({"a": [0] * (n // 2)}, protocol=2)


def bomb(n: int) -> bytes:
    """An archive of n bytes whose member unpacks to a thousand times as many."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        with members.open("archive/data/0", "w") as member:
            for _ in range(1000):
                member.write(bytes(n))
    return archive.getvalue()


def check(read: Reader, folder: Path, file: str, data: bytes) -> None:
    (folder / file).write_bytes(data)
    began = time.process_time()

    def ask() -> None:
        with suppress(HnasError):
            read(folder)

    taken = peak_of(ask)
    spent = time.process_time() - began
    assert taken < ROOM + 50 * len(data), (taken, len(data), data[:40])
    assert spent < SECONDS * (1 + len(data) / 2**20), (spent, len(data), data[:40])


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("size", [20_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
def test_any_bytes_cost_what_they_weigh(kind: str, size: int, tmp_path: Path) -> None:
    file, read = READERS[kind]
    for data in hostile(size):
        check(read, tmp_path, file, data)


@pytest.mark.parametrize("key", ["arch", "macs"])
@pytest.mark.parametrize("size", [20_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
def test_any_row_costs_what_it_weighs(key: str, size: int, tmp_path: Path) -> None:
    """Of a trial, in a database that others write to."""
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}", create=True)
    study = open_study(storage, "s", create=True)
    write(study)
    assert records(study)

    def read(folder: Path) -> object:
        text = (folder / "row").read_text("latin-1")
        with storage.engine.begin() as connection:
            asked = "update trial_user_attributes set value_json = ? where key = ?"
            assert connection.exec_driver_sql(asked, (text, key)).rowcount == 1
        return records(study)

    for data in hostile(size):
        check(read, tmp_path, "row", data)
    close_storage(storage)


@pytest.mark.parametrize("size", [100_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
def test_weights_that_unpack_to_more_are_refused(size: int, tmp_path: Path) -> None:
    check(READERS["weights of torch.save"][1], tmp_path, "w.pth", bomb(size))
    with pytest.raises(InputError, match=r"'archive/data.pkl' in it is compressed: a small file"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_no_file(kind: str, tmp_path: Path) -> None:
    """Nobody ever writes to it."""
    file, read = READERS[kind]
    os.mkfifo(tmp_path / file)
    if kind == "a network's description":
        (tmp_path / "net.safetensors").touch()
    with pytest.raises(
        HnasError, match=r"must be a regular file|is not what|cannot be read|a data fo"
    ):
        read(tmp_path)


def test_a_pipe_describes_no_network(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.json")
    assert not is_network(tmp_path / "net")
