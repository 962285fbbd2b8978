"""Layout of a block's weights: the shape of every tensor, for one Block and for a BlockSpace.

Axes (the words of the tables below):

    q   query, key, value: 3            v   GLU's value and gate: 2
    H   attention heads                 h   width of a head
    Cg  channels of the global part     Cl  channels of the local part, Cg + Cl = d
    E   local expansion                 K   kernel
    Hl  heads of local attention        hl  width of one, E * d / (N * heads)
    d   token width                     m   FFN width d * d_z

The axes of a group (between commas) make one dimension of a weight, as nn.Linear and nn.Conv1d have
it: q, k, v then heads, as in timm. A supernet stores each axis at its largest size, so that its
largest subnet is stored as the standalone network is; a subnet takes the front of every axis, but
the last channels of Cl and heads of Hl (the local part is the end of a token) and the centre of K.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hnas.architecture.arch import Block
from hnas.architecture.local import KINDS
from hnas.architecture.space import BlockSpace, Frame

END = frozenset({"Cl", "Hl"})
CENTRE = frozenset({"K"})

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Tensor:
    """A weight's axes, grouped as the dimensions of the standalone network's tensor."""

    groups: tuple[tuple[str, ...], ...]

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(axis for group in self.groups for axis in group)

    def stored(self, sizes: Sizes) -> tuple[int, ...]:
        """Shape with one dimension an axis."""
        return tuple(sizes[axis] for axis in self.axes)

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        """Shape of the weight: one dimension a group."""
        return tuple(math.prod(sizes[axis] for axis in group) for group in self.groups)

    def numel(self, sizes: Sizes) -> int:
        return math.prod(self.stored(sizes))


def _tensor(groups: str) -> Tensor:
    return Tensor(tuple(tuple(group.split()) for group in groups.split(",")))


SHARED = {
    "norm1.weight": _tensor("d"),
    "norm1.bias": _tensor("d"),
    "norm2.weight": _tensor("d"),
    "norm2.bias": _tensor("d"),
    "fc1.weight": _tensor("m, d"),
    "fc1.bias": _tensor("m"),
    "fc2.weight": _tensor("d, m"),
    "fc2.bias": _tensor("d"),
}
GLOBAL = {
    "qkv.weight": _tensor("q H h, Cg"),
    "qkv.bias": _tensor("q H h"),
    "proj.weight": _tensor("Cg, H h"),
    "proj.bias": _tensor("Cg"),
}
LOCAL = {
    kind: {name: _tensor(groups) for name, groups in local.weights.items()}
    for kind, local in KINDS.items()
}
"""By `Frame.local`."""


def sizes(frame: Frame, block: Block) -> dict[str, int]:
    """The size of every axis in a block of its own."""
    d_k, E, K = block.d_k or 0, block.E or 0, block.K or 0
    return _sizes(frame, block.G, block.L, d_k=d_k, d_z=block.d_z, E=E, K=K)


def largest(frame: Frame, space: BlockSpace) -> dict[str, int]:
    """The size of every axis in a supernet's block: no larger than some Block of it needs."""
    made = [sizes(frame, frame.block(G, *map(max, space.of(G, frame.N)))) for G in space.G]
    return {axis: max(one[axis] for one in made) for axis in made[0]}


def _sizes(frame: Frame, G: int, L: int, *, d_k: int, d_z: int, E: int, K: int) -> dict[str, int]:
    d, N, heads = frame.d, frame.N, frame.heads
    attends = KINDS[frame.local].attends
    return {
        **{"q": 3, "v": 2, "one": 1},
        **{"H": heads * G, "h": d_k // (N * heads)},
        **{"Cg": d * G // N, "Cl": d * L // N, "E": E, "K": K},
        **{"Hl": heads * L * attends, "hl": E * d // (N * heads) * attends},
        **{"d": d, "m": d * d_z},
    }


def tensors(frame: Frame, sizes: Sizes) -> dict[str, Tensor]:
    """The weights that a block of these sizes has, by their name in the standalone block; one that
    is skipped has none."""
    if not sizes["m"]:
        return {}
    return {
        **SHARED,
        **(GLOBAL if sizes["Cg"] else {}),
        **(LOCAL[frame.local] if sizes["Cl"] else {}),
    }
