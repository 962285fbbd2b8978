"""Files of weights from elsewhere, as programs save them: read without running code of theirs."""

import argparse
import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import safetensors.torch
import torch
from torch import Tensor

from hnas.errors import InputError
from hnas.persist.atomic import read_regular
from hnas.persist.stand_in import stand_in

Weights = Mapping[str, Tensor]

WRAPPERS = ("model_ema", "state_dict_ema", "model", "state_dict")
"""What training scripts call the weights that they save among other things; averaged ones first,
as timm takes them."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and Lightning put before every name."""


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a .safetensors file, or of any other as torch.save writes it, on CPU, and what
    they were wrapped as; empty: not at all.

    A state dict may be wrapped as one of WRAPPERS, and its names may all begin with PREFIXES. No
    code of the file is run. Raises InputError if the file cannot be read, or not safely.
    """
    found, wrapper = _unwrapped(_values(path))
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in found.items()
    ):
        raise InputError(
            f"{path} must hold a state dict (names and tensors), alone or as "
            f"{', '.join(map(repr, WRAPPERS))}"
        )
    weights = dict(found)
    while prefix := next((p for p in PREFIXES if _all_begin(weights, p)), None):
        weights = {name.removeprefix(prefix): weight for name, weight in weights.items()}
    return weights, wrapper


def _values(path: Path) -> object:
    """What the file holds. Raises InputError."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(data)
        if packed := _packed(data):
            raise InputError(
                f"{path} must hold its numbers as they are, {packed} in it is compressed: a small "
                "file could fill the memory. Save the weights again with torch.save"
            )
        # DeiT's training script keeps its options next to the weights; they are plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # on damaged bytes an unpickler raises whatever it trips over
        no_weights = f"{path} holds no weights that can be read safely"
        if said := stand_in(data):
            raise InputError(f"{no_weights}: it is {said}") from None
        unsafe = re.search(r"GLOBAL (\S+) (?:was not|whose module)", str(error))
        reason = f"it asks for {unsafe[1]!r}" if unsafe else type(error).__name__
        raise InputError(
            f"{no_weights} ({reason}). Save them alone, with "
            "torch.save(model.state_dict(), file), or as .safetensors"
        ) from None


def _packed(data: bytes) -> str:
    """The name of a member that is compressed, which torch.save never does; empty if none is."""
    try:
        with ZipFile(BytesIO(data)) as members:
            found = (repr(m.filename) for m in members.infolist() if m.compress_type != ZIP_STORED)
            return next(found, "")
    except (BadZipFile, ValueError, NotImplementedError):
        return ""  # the older form, or damaged


def _unwrapped(value: object, wrapper: str = "") -> tuple[object, str]:
    """What is inside of wrappers, which may be wrapped again, and the innermost wrapper's name."""
    if not isinstance(value, Mapping):
        return value, wrapper
    inner = ((name, value.get(name)) for name in WRAPPERS)
    wrapped = [(one, name) for name, one in inner if isinstance(one, Mapping) and one]
    return _unwrapped(*wrapped[0]) if wrapped else (value, wrapper)


def _all_begin(weights: Weights, prefix: str) -> bool:
    return bool(weights) and all(name.startswith(prefix) for name in weights)
