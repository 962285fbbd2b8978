import json
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hnas.errors import CheckpointError
from hnas.training.checkpoint import load, save


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
