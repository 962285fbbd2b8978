"""A plain network for another frame: other images, patches and classes, fewer blocks, its weights
in the order of their size.

d token width, H heads, h width of a head, m FFN width. Resampling is timm's: positions bicubic with
antialiasing, the patch kernel by the pseudo-inverse of that (FlexiViT, 2212.08013, section 3.4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.network.block import Block
from hnas.network.glit import Glit
from hnas.persist.difference import differences, listed

FREE = ("image", "patch", "classes", "M", "local")
"""What may differ: `local` says what local heads are, and a plain network has none."""


def check_plain(net: Glit) -> None:
    """Raises InputError if a search cannot begin with a network: it must be all-global, of blocks
    of one size, with patches of one convolution."""
    kinds, stem = {block.kind for block in net.arch.blocks}, net.frame.stem
    if kinds != {"global"}:
        raise InputError(
            "a search begins with a plain ViT, and this network has "
            f"{' and '.join(sorted(kinds - {'global'}))} blocks already. As it is, only a supernet "
            "of its own frame takes it: stage1.init_from (--init-from)"
        )
    if len(set(net.arch.blocks)) > 1:
        sizes = sorted({(block.d_k, block.d_z) for block in net.arch.blocks})
        raise InputError(f"all blocks must have one size, got (d_k, d_z) of {sizes}")
    if stem != "patch":
        raise InputError(f"a search begins with a plain ViT, whose stem is 'patch', got {stem!r}")


@torch.no_grad()
def adapt(net: Glit, frame: Frame, *, keep: str = "large", seed: int = 0) -> Glit:
    """The network in another frame, as `check_plain` allows it: in eval mode, float32, on the CPU.

    A classifier of other classes is random, from the seed. Fewer blocks are evenly spaced ones.
    With keep = "large" heads and rows are sorted by their norm, the largest first, which changes
    nothing but rounding; "first" leaves them. Raises InputError if the frames differ in more than
    FREE.
    """
    check_plain(net)
    differ = differences(vars(net.frame), vars(frame))
    if wrong := {name: both for name, both in differ.items() if name not in FREE}:
        raise InputError(
            "the plan's net must be that of the pretrained weights, but these differ (stored: the "
            f"weights', asked: the plan's):\n{listed(wrong)}"
        )
    if frame.M > net.frame.M:
        raise InputError(f"the pretrained network has M={net.frame.M} blocks, got net.M={frame.M}")
    kept = spaced(net.frame.M, frame.M)
    made = Glit(frame, Arch(tuple(net.arch.blocks[i] for i in kept))).reset(seed)
    state = {n: w for n, w in net.state_dict().items() if not n.startswith("blocks.")}
    if frame.classes != net.frame.classes:
        state = {n: w for n, w in state.items() if not n.startswith("head.")}
    state["patch_embed.weight"] = resampled_kernel(state["patch_embed.weight"], frame.patch)
    aside = int(frame.pool == "class")
    state["pos_embed"] = resampled_positions(state["pos_embed"], frame.side, aside)
    made.load_state_dict(state, strict=False)
    for mine, i in zip(made.blocks, kept, strict=True):
        mine.load_state_dict(net.blocks[i].state_dict())
        if keep == "large":
            assert isinstance(mine, Block)
            largest_first(mine)
    return made.eval()


def spaced(have: int, want: int) -> list[int]:
    """`want` of the numbers below `have`, evenly spaced, the first and the last among them."""
    return [round(i * (have - 1) / max(want - 1, 1)) for i in range(want)]


def resampled_positions(positions: Tensor, side: int, aside: int) -> Tensor:
    """(1, aside + T, d) -> (1, aside + side x side, d); the first `aside` stay as they are."""
    first, grid = positions[:, :aside], positions[:, aside:]
    have = round(grid.shape[1] ** 0.5)
    if have == side:
        return positions
    image = grid.reshape(1, have, have, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image, size=(side, side), mode="bicubic", antialias=True)
    return torch.cat((first, image.permute(0, 2, 3, 1).reshape(1, side**2, -1)), dim=1)


def resampled_kernel(kernel: Tensor, patch: int) -> Tensor:
    """(d, C, p, p) -> (d, C, patch, patch): on images that are resized alike it gives the same
    tokens, as nearly as it can."""
    d, C, have, _ = kernel.shape
    if have == patch:
        return kernel
    each = torch.eye(have**2).view(have**2, 1, have, have)
    resized = F.interpolate(each, size=(patch, patch), mode="bicubic", antialias=True)
    matrix = resized.view(have**2, patch**2).T  # of pixels, from `have` to `patch`
    resized_kernel: Tensor = kernel.reshape(d, C, -1) @ torch.linalg.pinv(matrix)
    return resized_kernel.view(d, C, patch, patch)


def largest_first(block: Block) -> None:
    """Sorts an all-global block's heads, the columns in a head and the FFN's rows by their norm, in
    place: what it computes stays the same. A norm is that of a path: of what writes a value, times
    that of what reads it."""
    H, h = block.sizes["H"], block.sizes["h"]
    qkv, proj, fc1, fc2 = (getattr(block, name) for name in ("qkv", "proj", "fc1", "fc2"))
    rows = qkv.weight.view(3, H, h, -1)
    biases, columns = qkv.bias.view(3, H, h), proj.weight.view(-1, H, h)
    writes, reads = rows.norm(dim=-1), columns.norm(dim=0)
    matched, passed = writes[0] * writes[1], writes[2] * reads
    order = passed.sum(dim=1).argsort(descending=True, stable=True)
    inside = [sizes.argsort(dim=1, descending=True, stable=True) for sizes in (matched, passed)]
    at = torch.stack((inside[0], inside[0], inside[1]))[:, order]
    heads = order[:, None]
    parts = torch.arange(3)[:, None, None]
    sorted_rows, sorted_biases = rows[parts, heads, at].clone(), biases[parts, heads, at].clone()
    sorted_columns = columns[:, heads, at[2]].clone()
    rows.copy_(sorted_rows)
    biases.copy_(sorted_biases)
    columns.copy_(sorted_columns)
    most = (fc1.weight.norm(dim=1) * fc2.weight.norm(dim=0)).argsort(descending=True, stable=True)
    fc1.weight.copy_(fc1.weight[most].clone())
    fc1.bias.copy_(fc1.bias[most].clone())
    fc2.weight.copy_(fc2.weight[:, most].clone())
