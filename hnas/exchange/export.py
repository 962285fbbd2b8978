"""Exported networks: files that hold all that a network needs.

NAME.safetensors, NAME.json     the weights and all else: what hnas itself reads
NAME.py                         loads these two without hnas (`hnas.exchange.standalone`)
NAME.pt2, NAME.onnx             the network as a graph: torch.export's, ONNX
"""

import json
import logging
import warnings
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.errors import CheckpointError, InputError
from hnas.network.glit import Glit
from hnas.persist.atomic import write_atomic
from hnas.persist.record import recorded

FORMAT = "hnas-network-1"
DESCRIBED = "network.json"
"""What NAME.json holds, as an extra file within NAME.pt2."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A trained network and what its images must look like."""

    model: Glit
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """By channel, in units of 0 to 1: the model takes (pixels / 255 - mean) / std."""
    std: tuple[float, ...]


def save(network: Network, path: Path) -> tuple[Path, Path]:
    """Writes both files into one folder and returns them; `path` may end in .safetensors.

    Raises InputError if the folder cannot be written.
    """
    weights, described = path.with_suffix(".safetensors"), path.with_suffix(".json")
    state = network.model.state_dict()
    tensors = {name: t.detach().cpu().contiguous() for name, t in state.items()}
    _write(weights, safetensors.torch.save(tensors))
    _write(described, _description(network).encode())
    return weights, described


def _description(network: Network) -> str:
    described = {
        "format": FORMAT,
        "frame": recorded(network.model.frame),
        "arch": network.model.arch.to_dict(),
        "classes": network.classes,
        "mean": network.mean,
        "std": network.std,
    }
    return json.dumps(described, indent=1)


def _write(file: Path, data: bytes) -> None:
    try:
        write_atomic(file, data)
    except OSError as error:
        raise InputError(
            f"--to {file.with_suffix('')}: {file.parent} cannot be written: {error.strerror}. "
            "Name a file in a folder that exists and has room"
        ) from None


def save_module(path: Path) -> Path:
    """Writes NAME.py, which loads what `save` wrote, without hnas.

    Raises InputError if a NAME.py is there that is none of hnas's.
    """
    file = path.with_suffix(".py")
    text = resources.files("hnas.exchange").joinpath("standalone.py").read_bytes()
    if file.exists() and not file.read_bytes().startswith(text.splitlines()[0]):
        raise InputError(
            f"--to {path}: {file} is there and was not written by hnas. Give another name"
        )
    _write(file, text)
    return file


def load(path: Path) -> Network:
    """The inverse of `save`, in eval mode on CPU. Raises CheckpointError, naming the file."""
    weights, described = path.with_suffix(".safetensors"), path.with_suffix(".json")
    try:
        value = json.loads(described.read_bytes())
        if value["format"] != FORMAT:
            raise InputError(f"its format must be {FORMAT!r}, got {value['format']!r}")
        frame, arch = Frame(**value["frame"]), Arch.from_dict(value["arch"])
        with torch.device("meta"):  # nothing is allocated before all shapes are known to fit
            sketch = Glit(frame, arch)
        classes = tuple(map(str, value["classes"]))
        mean, std = (tuple(map(float, value[name])) for name in ("mean", "std"))
    except OSError as error:
        raise CheckpointError(f"{described} cannot be read: {error.strerror}") from None
    # Torch reports sizes beyond its integers by RuntimeError or OverflowError.
    except (ValueError, KeyError, TypeError, RuntimeError, OverflowError, InputError) as error:
        raise CheckpointError(f"{described} does not describe a network: {error}") from None
    try:
        tensors = safetensors.torch.load(weights.read_bytes())
        sketch.load_state_dict(tensors, assign=True)
        model = Glit(frame, arch)
        model.load_state_dict(tensors)
    except OSError as error:
        raise CheckpointError(f"{weights} cannot be read: {error.strerror}") from None
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{weights} does not hold the weights of the network: {error}"
        ) from None
    return Network(model=model.eval(), classes=classes, mean=mean, std=std)


def save_pt2(network: Network, path: Path) -> Path:
    """Writes the network as torch.export does, for any batch; reading it needs only torch:
    `torch.export.load(NAME.pt2).module()`, normalised images -> logits.

    NAME.json is inside, as the extra file DESCRIBED.
    """
    file = path.with_suffix(".pt2")
    buffer = BytesIO()
    torch.export.save(_program(network), buffer, extra_files={DESCRIBED: _description(network)})
    _write(file, buffer.getvalue())
    return file


def _program(network: Network) -> torch.export.ExportedProgram:
    frame = network.model.frame
    images = torch.zeros(2, frame.channels, frame.image, frame.image)
    shapes = {"images": {0: torch.export.Dim("batch", min=1)}}
    return torch.export.export(network.model.cpu().eval(), (images,), dynamic_shapes=shapes)


def save_onnx(network: Network, path: Path) -> Path:
    """Writes the network as ONNX: normalised images (B, C, image, image) -> logits (B, classes).

    Raises InputError if the `onnx` extra is not installed.
    """
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise InputError(f"ONNX export needs the package {package!r}: pip install 'hnas[onnx]'")
    file = path.with_suffix(".onnx")
    # The exporter warns of its own insides and of torchvision, which no network here needs.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _program(network),
                f=str(file),
                input_names=["images"],
                output_names=["logits"],
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    return file
