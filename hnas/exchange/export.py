"""Exported networks: files that hold all that a network needs.

NAME.safetensors, NAME.json     the weights and all else: what hnas itself reads
NAME.py                         loads these two without hnas (`hnas.exchange.standalone`)
NAME.pt2, NAME.onnx             the network as a graph: torch.export's, ONNX
NAME.int8.onnx, NAME.md         the same in 8-bit integers, a model card: made by others
"""

import json
import logging
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZipFile, ZipInfo

import safetensors.torch
import torch
from safetensors import SafetensorError

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.data.decode import BACKGROUNDS, INTERPOLATIONS
from hnas.data.size import Size
from hnas.errors import CheckpointError, InputError
from hnas.exchange import standalone
from hnas.network.glit import Glit
from hnas.persist.atomic import read_regular
from hnas.persist.ours import write_ours
from hnas.persist.record import recorded

FORMAT = "hnas-network-1"
DESCRIBED = "network.json"
"""What NAME.json holds, as an extra file within NAME.pt2."""
NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The first time that a ZIP can say; torch writes one before it, which is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A trained network and what its images must look like."""

    model: Glit
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """By channel, in units of 0 to 1: the model takes (pixels / 255 - mean) / std."""
    std: tuple[float, ...]
    background: str = "white"
    """What transparent images are laid on, of `hnas.data.decode.BACKGROUNDS`."""
    interpolation: str = "bilinear"
    """How images are resized, of `hnas.data.decode.INTERPOLATIONS`."""
    crop_pct: float = 1.0
    """Share of their shorter side that is seen, as `hnas.data.decode.centred` has it."""

    @property
    def size(self) -> Size:
        frame = self.model.frame
        ways = {name: getattr(self, name) for name in WAYS}
        return Size(frame.image, frame.channels, **ways)


WAYS: dict[str, Any] = {"background": "white", "interpolation": "bilinear", "crop_pct": 1.0}
"""How images become pixels: what a network knows, and the usual, which NAME.json leaves out."""
KNOWN = {"background": tuple(BACKGROUNDS), "interpolation": INTERPOLATIONS}


def named(path: Path, suffix: str) -> Path:
    """NAME with a suffix of ours: one that `path` ends in is taken off, other dots stay."""
    stem = re.sub(r"(?<=.)\.(safetensors|json|py|pt2|int8\.onnx|onnx|md)$", "", path.name)
    if stem in ("", ".."):
        raise InputError(f"--to {path} must end in the name of a file")
    return path.with_name(f"{stem}.{suffix}")


def save(
    network: Network,
    path: Path,
    *,
    also: Collection[str] = (),
    made: Mapping[str, bytes] = MappingProxyType({}),
    force: bool = False,
) -> tuple[Path, ...]:
    """Writes NAME.safetensors and NAME.json into one folder, those of FORMS in `also`, and what is
    `made` already, by suffix; all or none. `path` may end in a suffix of theirs.

    Raises InputError if the folder cannot be written, or a file that is there would get another
    content (without `force`); of hnas's own only NAME.py, which is of no network, may.
    """
    state = network.model.state_dict()
    tensors = {name: t.detach().cpu().contiguous() for name, t in state.items()}
    weights, described = named(path, "safetensors"), named(path, "json")
    files = {weights: safetensors.torch.save(tensors)}
    files |= {named(path, form): FORMS[form](network) for form in FORMS if form in also}
    files |= {named(path, suffix): data for suffix, data in made.items()}
    files[described] = _description(network).encode()
    write_ours(files, to=path, force=force, ours=_is_module)
    return (weights, described, *(file for file in files if file not in (weights, described)))


def _is_module(path: Path, data: bytes) -> bool:
    return path.suffix == ".py" and data.startswith(_module().splitlines()[0])


def _module(_: object = None) -> bytes:
    """Code that loads what `save` wrote, without hnas: `standalone`, with `hnas.data.decode`."""
    text, decoding = (
        resources.files(room).joinpath(name).read_text("utf-8")
        for room, name in (("hnas.exchange", "standalone.py"), ("hnas.data", "decode.py"))
    )
    line = "from hnas.data.decode import decode\n"
    return text.replace(line, decoding.split('"""\n', 1)[1].lstrip()).encode()


def _description(network: Network) -> str:
    described = {
        "format": FORMAT,
        "frame": recorded(network.model.frame),
        "arch": network.model.arch.to_dict(),
        "classes": network.classes,
        "mean": network.mean,
        "std": network.std,
        **{
            name: getattr(network, name)
            for name, usual in WAYS.items()
            if getattr(network, name) != usual
        },
    }
    return json.dumps(described, indent=1)


def is_network(path: Path) -> bool:
    """Whether NAME.json is there and says that it describes a network of hnas."""
    try:
        found: object = json.loads(read_regular(named(path, "json")))["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return found == FORMAT


def load(path: Path) -> Network:
    """The inverse of `save`, in eval mode on CPU. Raises CheckpointError, naming the file."""
    weights, described = named(path, "safetensors"), named(path, "json")
    try:
        value = json.loads(read_regular(described))
        if value["format"] != FORMAT:
            raise InputError(f"its format must be {FORMAT!r}, got {value['format']!r}")
        frame, arch = Frame(**value["frame"]), Arch.from_dict(value["arch"])
        with torch.device("meta"):  # nothing is allocated before all shapes are known to fit
            sketch = Glit(frame, arch)
        classes = tuple(map(str, value["classes"]))
        mean, std = (tuple(map(float, value[name])) for name in ("mean", "std"))
        ways = {name: value.get(name, usual) for name, usual in WAYS.items()}
        for name, known in KNOWN.items():
            if ways[name] not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {ways[name]!r}")
        if not 0.1 <= ways["crop_pct"] <= 1:
            raise InputError(f"crop_pct must be a share, 0.1 to 1, got {ways['crop_pct']!r}")
    except OSError as error:
        raise CheckpointError(f"{described} cannot be read: {error.strerror}") from None
    # Torch reports sizes beyond its integers by RuntimeError or OverflowError.
    except (ValueError, KeyError, TypeError, RuntimeError, OverflowError, InputError) as error:
        raise CheckpointError(f"{described} does not describe a network: {error}") from None
    try:
        tensors = safetensors.torch.load(read_regular(weights))
        sketch.load_state_dict(tensors, assign=True)
        model = Glit(frame, arch)
        model.load_state_dict(tensors)
    except OSError as error:
        raise CheckpointError(f"{weights} cannot be read: {error.strerror}") from None
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{weights} does not hold the weights of the network: {error}"
        ) from None
    return Network(model=model.eval(), classes=classes, mean=mean, std=std, **ways)


def as_pt2(network: Network) -> bytes:
    """The network as torch.export writes it, for any batch; reading it needs only torch:
    `torch.export.load(NAME.pt2).module()`, normalised images -> logits.

    NAME.json is inside, as the extra file DESCRIBED.
    """
    buffer = BytesIO()
    torch.export.save(_program(network), buffer, extra_files={DESCRIBED: _description(network)})
    return undated(buffer.getvalue())


def undated(archive: bytes) -> bytes:
    """A ZIP without times, so that the same network has the same bytes: torch 2.6 writes when it
    was exported. One without times stays as it is."""
    with ZipFile(BytesIO(archive)) as found:
        if all(info.date_time <= NO_TIME for info in found.infolist()):
            return archive
        buffer = BytesIO()
        with ZipFile(buffer, "w") as made:
            for info in found.infolist():
                made.writestr(ZipInfo(info.filename, NO_TIME), found.read(info))
    return buffer.getvalue()


def _program(network: Network) -> torch.export.ExportedProgram:
    """Of the module that NAME.py has: it takes no path that is fast on one machine alone."""
    model = standalone.Glit(json.loads(_description(network)))
    model.load_state_dict({name: t.cpu() for name, t in network.model.state_dict().items()})
    frame = network.model.frame
    images = torch.zeros(2, frame.channels, frame.image, frame.image)
    # Torch 2.6 takes the batch to be any number but the largest, unless there is a limit.
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=2**31 - 1)}}
    return torch.export.export(model.eval(), (images,), dynamic_shapes=shapes)


def as_onnx(network: Network) -> bytes:
    """The network as ONNX: normalised images (B, C, image, image) -> logits (B, classes).

    Raises InputError if the `onnx` extra is not installed, or too new for this torch.
    """
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise InputError(f"ONNX export needs the package {package!r}: pip install 'hnas[onnx]'")
    # The exporter warns of its own insides and of torchvision, which no network here needs.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                _program(network), input_names=["images"], output_names=["logits"], verbose=False
            )
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            f"ONNX export: torch {torch.__version__} cannot, with onnxscript "
            f"{version('onnxscript')}: {str(error).split('.')[0]}. Take a newer torch (2.6 "
            "cannot, 2.13 can), or --pt2"
        ) from error
    finally:
        logger.setLevel(level)
    assert made is not None
    return bytes(made.model_proto.SerializeToString())


FORMS: dict[str, Callable[[Network], bytes]] = {"py": _module, "pt2": as_pt2, "onnx": as_onnx}
"""What `save` can write besides, by suffix."""
