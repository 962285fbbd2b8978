"""Weights from elsewhere: GLiT as its authors released it, and plain ViTs under timm's names.

Both become an `hnas.network.glit.Glit`. What it is like is inferred from the weights' shapes:

    d, channels, patch   patch_embed.proj.weight (d, channels, patch, patch)
    image                pos_embed (1, T, d): the class token, then a square of T - 1 patches
    classes              head.weight (classes, d)
    M                    how many blocks have names
    G, d_k               attn.qkv.weight (3 d_k G/N, d G/N); absent if G = 0
    L, E                 attn.net.1.weight (2 E d L/N, d L/N); absent if L = 0
    K                    attn.net.3.conv.weight (E d L/N, 1, K)
    d_z                  mlp.fc1.weight (d d_z, d)

Shapes do not tell how wide a head is. If `heads` (a group) is not given it is 64, as in every
published DeiT, ViT and GLiT: with N = 3, widths of 192, 384 and 768 have 1, 2 and 4 heads a group.
The FFN's activation is GELU, and every LayerNorm's eps 1e-6, as in all of them.

Names: timm's blocks are `blocks.I.`; the release's `blocks.I.0.`, with a block's local head as the
numbered steps of `attn.net`. Query, key and value are rows in this order, heads within each.
"""

import argparse
import math
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.network.glit import Glit

HEAD_WIDTH = 64
LISTED = 20
"""Faults that one message lists at most."""

PARTS = {
    "qkv": "attn.qkv",
    "proj": "attn.proj",
    "expand": "attn.net.1",
    "depthwise": "attn.net.3.conv",
    "norm": "attn.net.4",
    "project": "attn.net.6",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}
"""A block's parts by their names here, and there where they differ."""

Weights = Mapping[str, Tensor]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of any other as torch.save writes it, on CPU.

    A state dict may be wrapped as `{"model": ...}`, as DeiT's are. No code of the file is run.
    Raises InputError if the file cannot be read, or not safely.
    """
    try:
        value: object
        if path.suffix == ".safetensors":
            value = safetensors.torch.load(path.read_bytes())
        else:
            # DeiT's training script keeps its options next to the weights; they are plain values.
            with torch.serialization.safe_globals([argparse.Namespace]):
                value = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # on damaged bytes an unpickler raises whatever it trips over
        unsafe = re.search(r"GLOBAL (\S+) (?:was not|whose module)", str(error))
        reason = f"it asks for {unsafe[1]!r}" if unsafe else type(error).__name__
        raise InputError(
            f"{path} holds no weights that can be read safely ({reason}). Save them alone, with "
            "torch.save(model.state_dict(), file), or as .safetensors"
        ) from None
    if isinstance(value, Mapping) and isinstance(value.get("model"), Mapping):
        value = value["model"]
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in value.items()
    ):
        raise InputError(f"{path} must hold a state dict (names and tensors), alone or as 'model'")
    return dict(value)


def load_weights(weights: Weights, *, N: int = 3, heads: int | None = None) -> Glit:
    """`load_glit_release` or `load_vit`, whichever the names of the blocks are of."""
    is_release = any(name.startswith("blocks.0.0.") for name in weights)
    return (load_glit_release if is_release else load_vit)(weights, N=N, heads=heads)


def load_glit_release(weights: Weights, *, N: int = 3, heads: int | None = None) -> Glit:
    """A network out of weights under the names of GLiT's release, in eval mode on CPU, fp32.

    Raises InputError, listing what does not fit, if these are not all its weights and no others.
    """
    return _load(weights, "blocks.{}.0.", N, heads)


def load_vit(weights: Weights, *, N: int = 3, heads: int | None = None) -> Glit:
    """An all-global network out of weights under timm's names, in eval mode on CPU, fp32.

    The heads of the ViT are taken as N groups of `heads`. Raises InputError, listing what does not
    fit, if these are not all its weights and no others.
    """
    distilled = sorted(name for name in weights if name.startswith(("dist_token", "head_dist")))
    if distilled:
        raise InputError(
            f"a distilled DeiT has a second token and classifier ({', '.join(distilled)}), which "
            "GLiT has not. Give the weights of a DeiT that was trained without distillation"
        )
    return _load(weights, "blocks.{}.", N, heads)


def _load(weights: Weights, blocks: str, N: int, heads: int | None) -> Glit:
    frame = _frame(weights, N, heads)
    arch = Arch(tuple(_block(weights, blocks.format(i), frame) for i in range(frame.M)))
    with torch.device("meta"):  # nothing is allocated before all shapes are known to fit
        net = Glit(frame, arch)
    ours = {_theirs(name, blocks): (name, weight) for name, weight in net.state_dict().items()}
    faults = [f"{name} is missing" for name in ours if name not in weights]
    faults += [f"{name!r} is unknown" for name in weights if name not in ours]
    for name, (_, weight) in ours.items():
        if name in weights and (fault := _fault(name, weights[name], weight)):
            faults.append(fault)
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        raise InputError(
            f"the weights do not fit the network that their shapes describe (d={frame.d}, "
            f"M={frame.M}, N={N}, heads={frame.heads}): {'; '.join(faults[:LISTED])}{more}"
        )
    net.to_empty(device="cpu")
    net.load_state_dict(
        {name: weights[theirs].reshape(weight.shape) for theirs, (name, weight) in ours.items()}
    )
    return net.eval()


def _theirs(name: str, blocks: str) -> str:
    """The source's name of a weight of ours."""
    if not name.startswith("blocks."):
        return name.replace("patch_embed.", "patch_embed.proj.")
    _, i, part, kind = name.split(".")
    return f"{blocks.format(i)}{PARTS.get(part, part)}.{kind}"


def _fault(name: str, given: Tensor, wanted: Tensor) -> str | None:
    """Why a weight cannot be taken, or None."""
    shape, want = tuple(given.shape), tuple(wanted.shape)
    is_pointwise = name.endswith(("attn.net.1.weight", "attn.net.6.weight"))
    if shape != want and not (is_pointwise and shape == (*want, 1)):
        return f"{name} must have the shape {want}, got {shape}"
    if given.is_floating_point() != wanted.is_floating_point():
        return f"{name} must be like {wanted.dtype}, got {given.dtype}"
    # A file may claim a shape by strides of zero, or hold no numbers at all.
    if given.is_meta or given.layout != torch.strided:
        return f"{name} must be a dense tensor"
    if given.untyped_storage().nbytes() < given.numel() * given.element_size():
        return f"{name} must have its numbers in memory, got a view that repeats some"
    return None


def _shape(weights: Weights, name: str, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a weight that has one of these numbers of dimensions. Raises InputError."""
    if name not in weights:
        raise InputError(f"the weights are not those of a GLiT or ViT: {name} is missing")
    shape = tuple(weights[name].shape)
    if len(shape) not in dims or 0 in shape:
        raise InputError(
            f"{name} must have {' or '.join(map(str, dims))} dimensions, none empty, got {shape}"
        )
    return shape


def _frame(weights: Weights, N: int, heads: int | None) -> Frame:
    d, channels, patch, _ = _shape(weights, "patch_embed.proj.weight", (4,))
    _, T, _ = _shape(weights, "pos_embed", (3,))
    classes, _ = _shape(weights, "head.weight", (2,))
    side = math.isqrt(T - 1)
    if side == 0 or side**2 != T - 1:
        raise InputError(
            f"pos_embed must have a class token and a square of patches, got {T} tokens"
        )
    if N < 1:
        raise InputError(f"N must be a whole number >= 1, got {N}")
    if heads is None:
        heads, rest = divmod(d, HEAD_WIDTH * N)
        if rest:
            raise InputError(
                f"a token width of {d} is not N={N} groups of {HEAD_WIDTH}-wide heads, and shapes "
                "do not tell how wide heads are: say how many heads a group has, and N"
            )
    return Frame(
        image=side * patch,
        channels=channels,
        patch=patch,
        classes=classes,
        d=d,
        M=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        N=N,
        heads=heads,
        activation="gelu",
    )


def _block(weights: Weights, prefix: str, frame: Frame) -> Block:
    """Divides as if the shapes fitted: if they do not, they differ from the network's."""
    m, _ = _shape(weights, f"{prefix}mlp.fc1.weight", (2,))
    G = L = 0
    d_k = E = K = None
    has_local = f"{prefix}attn.net.1.weight" in weights
    if has_local:
        rows, Cl, *_ = _shape(weights, f"{prefix}attn.net.1.weight", (2, 3))
        L, E = Cl * frame.N // frame.d, rows // (2 * Cl)
        *_, K = _shape(weights, f"{prefix}attn.net.3.conv.weight", (3,))
    if not has_local or f"{prefix}attn.qkv.weight" in weights:
        rows, Cg = _shape(weights, f"{prefix}attn.qkv.weight", (2,))
        G = Cg * frame.N // frame.d
        d_k = rows * frame.N // (3 * max(G, 1))
    try:
        block = Block(G=G, L=L, d_z=m // frame.d, d_k=d_k, E=E, K=K)
        frame.check(block)
    except InputError as error:
        raise InputError(f"{prefix}attn and {prefix}mlp are not a block of GLiT: {error}") from None
    return block
