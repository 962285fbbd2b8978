"""Checkpoints: tensors in safetensors, the rest in JSON, complete or not there at all.

`NAME.json` lists the versions, newest first: the file `NAME-HASH.safetensors` with its SHA-256, and
the other values with theirs. A version is written and synced under its own name; then one rename of
the JSON makes it current. The version before is kept: a torn or altered file is refused by name and
the previous version used.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from hnas.errors import CheckpointError
from hnas.persist.atomic import read_regular, write_atomic

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    tensors: dict[str, Tensor]
    """On CPU."""
    meta: dict[str, Any]
    refused: tuple[str, ...] = ()
    """Newer versions that were not usable, each with the reason."""


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Makes a new version of checkpoint `path` (a path without suffix) the current one.

    Raises CheckpointError if the folder cannot be written; the versions before are untouched.
    """
    data = safetensors.torch.save({name: t.detach().cpu() for name, t in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    file = path.with_name(f"{path.name}-{digest[:16]}.safetensors")
    version = {
        "file": file.name,
        "sha256": digest,
        "meta": dict(meta),
        "meta_sha256": _meta_digest(meta),
    }
    try:
        older = [v for v in _versions(path) if v["file"] != file.name]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, data)
        _write_index(path, [version, *older[: KEPT - 1]])
        tidy(path)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint {path.name} could not be written to {path.parent}: {error.strerror}. "
            "Nothing finished before is lost; free or unlock the folder and run again"
        ) from None


def drop(path: Path) -> None:
    """Takes the newest version of checkpoint `path` back. Raises CheckpointError, OSError."""
    if versions := _versions(path):
        _write_index(path, versions[1:])
        tidy(path)


def tidy(path: Path) -> None:
    """Removes files of versions that the index does not list: old ones, and those of a process that
    was killed before it wrote the index. Only for the one process that writes this checkpoint.

    Raises CheckpointError. What cannot be removed stays.
    """
    listed = {version["file"] for version in _versions(path)}
    for file in path.parent.glob(f"{path.name}-{'[0-9a-f]' * 16}.safetensors"):
        if file.name not in listed:
            with suppress(OSError):
                file.unlink()


def load(path: Path) -> Checkpoint | None:
    """The newest usable version of checkpoint `path`; None if there is no version.

    Raises CheckpointError, naming every file and its fault, if no version is usable.
    """
    versions = _versions(path)
    refused: list[str] = []
    for version in versions:
        file = path.with_name(version["file"])
        try:
            data = read_regular(file)
        except OSError as error:
            refused.append(f"{file.name}: {error.strerror}")
            continue
        if hashlib.sha256(data).hexdigest() != version["sha256"]:
            refused.append(f"{file.name}: its SHA-256 is not the one recorded ({len(data)} bytes)")
            continue
        if version.get("meta_sha256") != _meta_digest(version["meta"]):
            refused.append(f"{file.name}: what {path.name}.json says of it has been changed")
            continue
        try:
            tensors = safetensors.torch.load(data)
        except SafetensorError as error:
            refused.append(f"{file.name}: {error}")
            continue
        return Checkpoint(tensors, version["meta"], tuple(refused))
    if refused:
        raise CheckpointError(
            f"no usable version of checkpoint {path.name} in {path.parent}: {'; '.join(refused)}. "
            f"Delete {path.name}.json there to start this part again"
        )
    return None


def _write_index(path: Path, versions: list[dict[str, Any]]) -> None:
    text = json.dumps({"versions": versions}, indent=1)
    write_atomic(path.with_name(path.name + ".json"), text.encode())


def _meta_digest(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _versions(path: Path) -> list[dict[str, Any]]:
    index = path.with_name(path.name + ".json")
    try:
        versions = json.loads(read_regular(index))["versions"]
        for version in versions:
            name = version["file"]
            if Path(name).name != name or not isinstance(version["meta"], dict):
                raise ValueError(f"it names {name!r}")
            str.lower(version["sha256"])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{index} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{index} is not an index of checkpoints ({type(error).__name__}: {error}). "
            "Delete it to start this part again"
        ) from None
    return list(versions)
