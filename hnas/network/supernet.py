"""The supernet: one set of weights, from which each architecture of a Space takes its own.

There is no active subnet: `supernet(images, arch)` says which network runs. Shapes as in
`hnas.network.block`. Weight entanglement after AutoFormer (2107.00651); the layout is
`hnas.architecture.layout`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture import layout
from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.space import BlockSpace, Frame, Space
from hnas.errors import InputError
from hnas.network import block as blocks
from hnas.network.glit import Glit, Trunk
from hnas.network.linear import linear
from hnas.network.local import HEADS
from hnas.network.local.head import Map, Norm, Weights, over
from hnas.network.precision import lowered
from hnas.network.slicing import cut, overlap, subnet
from hnas.persist.difference import differences, listed

EPS = 1e-5  # nn.BatchNorm1d's default


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """BatchNorm by the batch's own statistics, as a supernet trains."""
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS)


class Statistics:
    """Mean and variance of one local head's BatchNorm, measured for one subnet.

    Running statistics shared by all subnets would fit none (BigNAS, 2003.11142, section 3).
    """

    mean: Tensor
    var: Tensor

    def measure(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """BatchNorm by the batch's statistics, kept as nn.BatchNorm1d(momentum=1) would."""
        self.mean = torch.zeros_like(weight)
        self.var = torch.ones_like(weight)
        return F.batch_norm(x, self.mean, self.var, weight, bias, True, 1.0, EPS)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """BatchNorm by the measured statistics."""
        return F.batch_norm(x, self.mean, self.var, weight, bias, False, 0.0, EPS)


class Subnet:
    """One block's parts (`hnas.network.block.Parts`) as linear maps over slices of the shared
    weights."""

    expand: Map
    depthwise: Map
    norm: Map
    project: Map

    def __init__(
        self, w: Weights, sizes: layout.Sizes, frame: Frame, dropout: Map, norm: Norm
    ) -> None:
        self.sizes, self.frame, self.dropout = sizes, frame, dropout
        layer_norm = partial(F.layer_norm, normalized_shape=(sizes["d"],), eps=1e-6)
        self.norm1, self.norm2 = over(layer_norm, w, "norm1"), over(layer_norm, w, "norm2")
        kept = partial(linear, keep=True)
        self.fc1 = over(kept, w, "fc1")
        self.fc2 = over(linear, w, "fc2")
        if sizes["Cg"]:
            self.qkv, self.proj = over(kept, w, "qkv"), over(linear, w, "proj")
        if sizes["Cl"]:
            for name, one in HEADS[frame.local].maps(w, norm).items():
                setattr(self, name, one)  # torch 2.6 cannot compile `vars(self)`


class SuperBlock(nn.Module):
    """One block's shared weights, each at the largest size that its BlockSpace needs."""

    products: torch.dtype | None = None
    """What its weights are cast to, by `hnas.network.precision.compute_in`."""

    def __init__(self, frame: Frame, space: BlockSpace, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.frame = frame
        self.sizes = layout.largest(frame, space)
        self.tensors = layout.tensors(frame, self.sizes)
        self.dropout = nn.Dropout(dropout)
        for name, tensor in self.tensors.items():
            part, kind = name.split(".")
            if part not in self._modules:
                self.add_module(part, nn.Module())
            weight = nn.Parameter(torch.empty(tensor.shape(self.sizes)))
            self.get_submodule(part).register_parameter(kind, weight)

    def weights(self, block: Block) -> dict[str, Tensor]:
        """The block's weights under their names in the standalone block, in its shapes."""
        sizes = layout.sizes(self.frame, block)
        weights = {}
        for name, tensor in layout.tensors(self.frame, sizes).items():
            part, kind = name.split(".")
            weight = getattr(getattr(self, part), kind)  # get_parameter takes three times as long
            weights[name] = subnet(weight, tensor, self.sizes, sizes)
        return weights

    def forward(
        self, x: Tensor, block: Block, norm: Norm = batch_norm, weights: Weights | None = None
    ) -> Tensor:
        """Tokens (B, T, d) -> the same; `weights` are those of `block`, if they are cut already."""
        if block == SKIPPED:
            return x
        sizes = layout.sizes(self.frame, block)
        weights = self.weights(block) if weights is None else weights
        if self.products is not None:
            weights = lowered(weights, self.products)
        return blocks.forward(x, Subnet(weights, sizes, self.frame, self.dropout, norm))


class Supernet(Trunk):
    """Shared weights for all architectures of `space`."""

    def __init__(self, space: Space, *, dropout: float = 0.0) -> None:
        super().__init__(space.frame)
        self.space = space
        self.blocks = nn.ModuleList(
            SuperBlock(space.frame, block, dropout=dropout) for block in space.blocks
        )

    def forward(
        self,
        images: Tensor,
        arch: Arch,
        norms: Sequence[Norm] | None = None,
        weights: Sequence[Weights] | None = None,
    ) -> Tensor:
        """Normalised images (B, channels, image, image) -> logits (B, classes) of one subnet.

        `norms` gives each block's BatchNorm; by default it is the batch's own statistics. `weights`
        gives each block's, if they are cut already (`hnas.network.borrowed`).
        Raises InputError if the architecture is not of the space.
        """
        self.check(arch)
        x = self.tokens(images)
        for i, (block, choice) in enumerate(zip(self.blocks, arch.blocks, strict=True)):
            norm = norms[i] if norms is not None else batch_norm
            x = block(x, choice, norm, None if weights is None else weights[i])
        return self.logits(x)

    def check(self, arch: Arch) -> None:
        """Raises InputError if the architecture is not of the space."""
        if arch not in self.space:
            raise InputError(f"the architecture is not in this supernet's space: {arch.to_json()}")

    def extract(self, arch: Arch, statistics: Sequence[Statistics] | None = None) -> Glit:
        """A standalone copy of one subnet, with its BatchNorm statistics if they are given."""
        self.check(arch)
        net = Glit(self.frame, arch)
        state = net.state_dict() | _outside_blocks(self)
        for i, (block, choice) in enumerate(zip(self.blocks, arch.blocks, strict=True)):
            assert isinstance(block, SuperBlock)
            weights = block.weights(choice)
            if statistics is not None and "norm.weight" in weights:
                measured = statistics[i]
                weights |= {"norm.running_mean": measured.mean, "norm.running_var": measured.var}
            state |= {f"blocks.{i}.{name}": weight for name, weight in weights.items()}
        net.load_state_dict(state)
        return net.to(self.pos_embed.device)


def _outside_blocks(net: Trunk) -> dict[str, Tensor]:
    return {k: v for k, v in net.state_dict().items() if not k.startswith("blocks.")}


def grow(
    old: Supernet,
    space: Space,
    *,
    seed: int,
    dropout: float = 0.0,
    initial: str = "glorot",
    before: Sequence[Supernet] = (),
) -> Supernet:
    """A supernet for another `space` of the frame: what both have is copied, the rest initialised.

    Every architecture of both spaces computes what it computed before, bit for bit. What `old` has
    not is copied from those `before` it, from the last that has it.
    Raises InputError if the frames differ.
    """
    return extend(Supernet(space, dropout=dropout).reset(seed, initial), (*before, old))


def extend(new: Supernet, sources: Sequence[Supernet | Glit]) -> Supernet:
    """Copies into a supernet, in place, what each of the sources shares with it: of networks that
    are larger their first part. Raises InputError if the frames differ."""
    for source in sources:
        if source.frame != new.frame:
            raise InputError(f"a supernet grows within its frame {source.frame}, got {new.frame}")
        new.load_state_dict(_outside_blocks(source), strict=False)
        _copy_blocks(source, new)
    return new


@torch.no_grad()
def _copy_blocks(source: Supernet | Glit, target: Supernet) -> None:
    """Into each block of `target`, what it shares with that of `source`."""
    for mine, theirs in zip(target.blocks, source.blocks, strict=True):
        assert isinstance(mine, SuperBlock) and isinstance(theirs, SuperBlock | blocks.Block)
        sizes = overlap(mine.sizes, theirs.sizes)
        for name, tensor in layout.tensors(mine.frame, sizes).items():
            weight = cut(theirs.get_parameter(name), tensor, theirs.sizes, sizes)
            cut(mine.get_parameter(name), tensor, mine.sizes, sizes).copy_(weight)


def inherit(net: Supernet, source: Glit) -> None:
    """Copies a standalone network's weights into the supernet, in place: the inverse of `extract`.

    The subnet of `source.arch` then computes what `source` does, bit for bit
    (BatchNorm statistics are no weights of a supernet); others get what they share with it. If
    only the numbers of classes differ, the supernet keeps its classifier.
    Raises InputError if the frames differ otherwise or `source.arch` is not of the space.
    """
    differing = differences(asdict(source.frame), asdict(net.frame))
    keeps_head = differing.pop("classes", None) is not None
    if differing:
        raise InputError(
            "a supernet inherits from a network of its own frame, but these differ "
            f"(stored: the network's, asked: the supernet's):\n{listed(differing)}"
        )
    net.check(source.arch)
    state = _outside_blocks(source)
    if keeps_head:
        del state["head.weight"], state["head.bias"]
    net.load_state_dict(state, strict=False)
    _copy_blocks(source, net)
