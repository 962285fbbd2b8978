import json
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hnas.errors import CheckpointError
from hnas.training.checkpoint import drop, load, save


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3, 4), value), "step": torch.tensor(7)}


def test_the_newest_version_comes_back(tmp_path):
    path = tmp_path / "deep" / "net"
    assert load(path) is None
    for epoch in (1, 2, 3):
        save(path, weights(epoch), {"epoch": epoch})
    found = load(path)
    assert found.meta == {"epoch": 3} and found.refused == ()
    assert torch.equal(found.tensors["w"], weights(3)["w"])
    assert found.tensors["step"] == 7
    names = sorted(p.name for p in path.parent.iterdir())
    assert len(names) == 3 and "net.json" in names  # two versions are kept


def test_versions_can_be_taken_back_to_the_first(tmp_path):
    path = tmp_path / "net"
    drop(path)
    for epoch in (1, 2):
        save(path, weights(epoch), {"epoch": epoch})
    drop(path)
    assert load(path).meta == {"epoch": 1}
    drop(path)
    assert load(path) is None and [p.name for p in tmp_path.iterdir()] == ["net.json"]


def test_versions_that_no_index_names_are_removed(tmp_path):
    """A process that is killed between a version and its index leaves one."""
    path = tmp_path / "net"
    save(path, weights(1), {})
    (tmp_path / f"net-{'0' * 16}.safetensors").write_bytes(b"left")
    (tmp_path / f"net2-{'0' * 16}.safetensors").write_bytes(b"another's")
    save(path, weights(2), {})
    names = [p.name for p in tmp_path.glob(f"*{'0' * 16}*")]
    assert names == [f"net2-{'0' * 16}.safetensors"]
    assert len(list(tmp_path.glob("net-*"))) == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_a_damaged_version_is_refused_by_name_and_the_previous_used(tmp_path, damage):
    path = tmp_path / "net"
    save(path, weights(1), {"epoch": 1})
    save(path, weights(2), {"epoch": 2})
    newest = tmp_path / json.loads((tmp_path / "net.json").read_text())["versions"][0]["file"]
    data = newest.read_bytes()
    if damage == "truncate":
        newest.write_bytes(data[:-1])
    elif damage == "flip":
        newest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        newest.unlink()
    found = load(path)
    assert found.meta == {"epoch": 1}
    assert len(found.refused) == 1 and newest.name in found.refused[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_of_the_index_is_noticed(tmp_path, data):
    """Whatever comes back, it is one of the two versions as it was saved."""
    path, index = tmp_path / "net", tmp_path / "net.json"
    if not index.exists():
        save(path, weights(1), {"epoch": 1, "identity": {"lr": 0.5}})
        save(path, weights(2), {"epoch": 2, "identity": {"lr": 0.5}})
        (tmp_path / "good").write_bytes(index.read_bytes())
    good = (tmp_path / "good").read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255))
    index.write_bytes(good[:at] + bytes([byte]) + good[at + 1 :])
    try:
        found = load(path)
    except CheckpointError:
        return
    epoch = found.meta["epoch"]
    assert found.meta == {"epoch": epoch, "identity": {"lr": 0.5}}
    assert torch.equal(found.tensors["w"], weights(epoch)["w"])


def test_what_is_said_of_a_version_cannot_be_changed(tmp_path):
    path = tmp_path / "net"
    save(path, weights(1), {"epoch": 1})
    save(path, weights(2), {"epoch": 2})
    index = json.loads((tmp_path / "net.json").read_text())
    index["versions"][0]["meta"]["epoch"] = 9
    (tmp_path / "net.json").write_text(json.dumps(index))
    found = load(path)
    assert found.meta == {"epoch": 1}
    assert found.refused[0].endswith("what net.json says of it has been changed")


def test_when_no_version_is_usable_the_message_names_each(tmp_path):
    path = tmp_path / "net"
    save(path, weights(1), {})
    [file] = tmp_path.glob("*.safetensors")
    file.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=rf"{file.name}: its SHA-256 .*4 bytes.*Delete net"):
        load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_index_gives_a_checkpoint_or_one_of_our_errors(tmp_path, data):
    (tmp_path / "net.json").write_bytes(data)
    with pytest.raises(CheckpointError, match="not an index of checkpoints"):
        load(tmp_path / "net")


@pytest.mark.parametrize("lacks", ["file", "sha256", "meta"])
def test_a_version_that_lacks_something_is_none(tmp_path, lacks):
    version = {"file": "net-0.safetensors", "sha256": "0", "meta": {}}
    (tmp_path / "net-0.safetensors").touch()
    for value in ({n: v for n, v in version.items() if n != lacks}, {**version, lacks: 3}):
        (tmp_path / "net.json").write_text(json.dumps({"versions": [value]}))
        with pytest.raises(CheckpointError, match="not an index of checkpoints"):
            load(tmp_path / "net")


def test_an_index_cannot_point_out_of_its_folder(tmp_path):
    version = {"file": "../../secret", "sha256": "0", "meta": {}}
    (tmp_path / "net.json").write_text(json.dumps({"versions": [version]}))
    with pytest.raises(CheckpointError, match=r"names '../../secret'"):
        load(tmp_path / "net")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "net"
    save(path, weights(1), {"epoch": 1})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"net could not be written .*: No space left"):
        save(path, weights(2), {"epoch": 2})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("synced", range(4))
def test_wherever_a_write_fails_no_index_names_what_is_not_there(tmp_path, monkeypatch, synced):
    """Weights, their folder, the index and its folder are synced, in this order."""
    path, left, sync = tmp_path / "net", [None] * synced, os.fsync
    save(path, weights(1), {"epoch": 1})

    def full(file: int) -> None:
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save(path, weights(2), {"epoch": 2})
    found = load(path)
    assert (found.meta["epoch"], found.refused) == (2 if synced == 3 else 1, ())
