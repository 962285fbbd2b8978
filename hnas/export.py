"""A network in two files that hold all it needs: NAME.safetensors and NAME.json."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from hnas.arch import Arch
from hnas.errors import CheckpointError, InputError
from hnas.files import write_atomic
from hnas.glit import Glit
from hnas.space import Frame

FORMAT = "hnas-network-1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A trained network and what its images must look like."""

    model: Glit
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """By channel, in units of 0 to 1: the model takes (pixels / 255 - mean) / std."""
    std: tuple[float, ...]


def save(network: Network, path: Path) -> tuple[Path, Path]:
    """Writes both files beside each other and returns them; `path` may end in .safetensors.

    Raises InputError where the folder cannot be written.
    """
    weights = path.with_suffix(".safetensors")
    described = path.with_suffix(".json")
    model = network.model
    text = json.dumps(
        {
            "format": FORMAT,
            "frame": asdict(model.frame),
            "arch": model.arch.to_dict(),
            "classes": list(network.classes),
            "mean": list(network.mean),
            "std": list(network.std),
        },
        indent=1,
    )
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    try:
        write_atomic(weights, safetensors.torch.save(tensors))
        write_atomic(described, text.encode())
    except OSError as error:
        raise InputError(
            f"--to {path}: {weights.parent} cannot be written: {error.strerror}. "
            "Name a file in a folder that exists and has room"
        ) from None
    return weights, described


def load(path: Path) -> Network:
    """The inverse of `save`, in eval mode on CPU. Raises CheckpointError, naming the file."""
    weights, described = path.with_suffix(".safetensors"), path.with_suffix(".json")
    try:
        value = json.loads(described.read_bytes())
        if value["format"] != FORMAT:
            raise InputError(f"its format must be {FORMAT!r}, got {value['format']!r}")
        model = Glit(Frame(**value["frame"]), Arch.from_dict(value["arch"]))
        network = Network(
            model=model,
            classes=tuple(map(str, value["classes"])),
            mean=tuple(map(float, value["mean"])),
            std=tuple(map(float, value["std"])),
        )
    except OSError as error:
        raise CheckpointError(f"{described} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError, InputError) as error:
        raise CheckpointError(f"{described} does not describe a network: {error}") from None
    try:
        model.load_state_dict(safetensors.torch.load(weights.read_bytes()))
    except OSError as error:
        raise CheckpointError(f"{weights} cannot be read: {error.strerror}") from None
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{weights} does not hold the weights of the network: {error}"
        ) from None
    model.eval()
    return network


def save_onnx(network: Network, path: Path) -> Path:
    """Writes the network as ONNX: normalised images (B, C, image, image) -> logits (B, classes).

    Raises InputError where the `onnx` extra is not installed.
    """
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise InputError(f"ONNX export needs the package {package!r}: pip install 'hnas[onnx]'")
    frame = network.model.frame
    example = torch.zeros(2, frame.channels, frame.image, frame.image)
    file = path.with_suffix(".onnx")
    # The exporter warns of its own insides and of torchvision, which no network here needs.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.model,
                (example,),
                str(file),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    return file
