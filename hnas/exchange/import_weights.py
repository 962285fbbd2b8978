"""Weights from elsewhere: GLiT as its authors released it, and plain ViTs (`hnas.exchange.names`).

Both become an `hnas.network.glit.Glit`. What it is like is inferred from the weights' shapes:

    d, channels, patch   patch_embed.proj.weight (d, channels, patch, patch)
    image, pool          pos_embed (1, T, d): the class token, if there is one, then a square
    classes              head.weight (classes, d)
    M                    how many blocks have names
    G, d_k               attn.qkv.weight (3 d_k G/N, d G/N); absent if G = 0
    L, E                 attn.net.1.weight (2 E d L/N, d L/N); absent if L = 0
    K                    attn.net.3.conv.weight (E d L/N, 1, K)
    d_z                  mlp.fc1.weight (d d_z, d)

Shapes do not tell the rest: see `Asked`. Every LayerNorm's eps is 1e-6, as in timm's ViTs (Hugging
Face's have 1e-12).

Names: timm's blocks are `blocks.I.`; the release's `blocks.I.0.`, with a block's local head as the
numbered steps of `attn.net`. Query, key and value are rows in this order, heads within each.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.exchange.names import named
from hnas.exchange.weights_file import Weights
from hnas.network.glit import Glit

HEAD_WIDTH = 64
WIDER = {1152: 72, 1280: 80, 1408: 88, 1664: 104}
"""The width of a head by the tokens', where timm's ViTs have another than HEAD_WIDTH."""
GROUPS = (3, 4, 5, 2, 7, 1)
"""Head groups a block, the first of them that divides the heads."""
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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What weights do not say of their network; None: as timm's ViTs of that shape have it."""

    groups: int | None = None
    """Head groups a block: the first of GROUPS that divides the heads."""
    heads: int | None = None
    """Attention heads a group: as many as are HEAD_WIDTH wide, or as WIDER says."""
    activation: str | None = None
    """Of the FFN: gelu."""
    pool: str | None = None
    """What the classifier sees: the class token; without one, the mean."""
    mean: tuple[float, ...] | None = None
    """Of each channel of images, 0 to 1, as they are normalised; one number is for all channels."""
    std: tuple[float, ...] | None = None


ANY = Asked()


def recognised(weights: Weights, asked: Asked) -> tuple[Glit, tuple[str, ...], str]:
    """(the network, what a person should know of it, whose normalisation it has if it is
    ImageNet's); the network in eval mode on CPU, fp32.

    Raises InputError, listing what does not fit, if these are not all its weights and no others.
    """
    if any(name.startswith("blocks.0.0.") for name in weights):
        asked = replace(asked, groups=3 if asked.groups is None else asked.groups)
        return _load(weights, "blocks.{}.0.", asked), (), "GLiT's release"
    vit = named(weights)
    return _load(vit.weights, "blocks.{}.", asked), vit.told, vit.family


def _load(weights: Weights, blocks: str, asked: Asked) -> Glit:
    frame = _frame(weights, asked)
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
            f"M={frame.M}, N={frame.N}, heads={frame.heads}): {'; '.join(faults[:LISTED])}{more}"
        )
    net.to_empty(device="cpu")
    net.load_state_dict(
        {name: weights[theirs].reshape(weight.shape) for theirs, (name, weight) in ours.items()}
    )
    return net.eval()


def under_timm_names(net: Glit) -> dict[str, Tensor]:
    """An all-global network's weights as timm's VisionTransformer calls them: the inverse of
    `recognised`."""
    return {_theirs(name, "blocks.{}."): weight for name, weight in net.state_dict().items()}


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


def _frame(weights: Weights, asked: Asked) -> Frame:
    d, channels, patch, wide = _shape(weights, "patch_embed.proj.weight", (4,))
    _, T, _ = _shape(weights, "pos_embed", (3,))
    classes, _ = _shape(weights, "head.weight", (2,))
    pool = "class" if "cls_token" in weights else "mean"
    patches = T - (pool == "class")
    side = math.isqrt(patches)
    if side == 0 or side**2 != patches:
        first = "a class token and " if pool == "class" else ""
        raise InputError(f"pos_embed must have {first}a square of patches, got {T} tokens")
    if wide != patch:
        raise InputError(f"patches must be square, got {patch} x {wide} pixels")
    if asked.pool not in (None, pool):
        has = "a class token, which every block sees" if pool == "class" else "no class token"
        raise InputError(f"pool must be {pool!r}, as the weights have {has}, got {asked.pool!r}")
    N, heads = _heads(d, asked)
    return Frame(
        image=side * patch,
        channels=channels,
        patch=patch,
        classes=classes,
        d=d,
        M=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        N=N,
        heads=heads,
        activation=asked.activation or "gelu",
        pool=pool,
    )


def _heads(d: int, asked: Asked) -> tuple[int, int]:
    """(head groups, heads a group) of tokens d wide. Raises InputError if nothing tells them."""
    N, heads, wide = asked.groups, asked.heads, WIDER.get(d, HEAD_WIDTH)
    if N is not None and N < 1:
        raise InputError(f"N must be a whole number >= 1, got {N}")
    if N is None:
        all_heads = d // wide if d % wide == 0 and heads is None else 0
        N = next((n for n in GROUPS if all_heads % n == 0), 1) if all_heads else GROUPS[0]
    if heads is None:
        heads, rest = divmod(d, wide * N)
        if rest:
            raise InputError(
                f"a token width of {d} is not N={N} groups of {wide}-wide heads, and shapes "
                "do not tell how wide heads are: say how many heads a group has, and N, by hnas "
                "import --heads, --groups; a search begins with the network that it writes"
            )
    return N, heads


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
