"""Spaces: the architectures that a search may choose from (GLiT, table 1 and section 4)."""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hnas.architecture.arch import SKIP, SKIPPED, Arch, Block
from hnas.architecture.local import KINDS
from hnas.errors import InputError
from hnas.persist.record import later

ACTIVATIONS = ("swish", "gelu")
MOST = {"M": 1024, "N": 64}
"""More is taken for a typing mistake: every block, and every way to divide groups, is listed."""
LOCALS = tuple(KINDS)
NAMED = {
    "activation": ACTIVATIONS,
    "local": LOCALS,
    "stem": ("patch", "conv", "residual"),
    "pool": ("class", "mean"),
}
"""The words that fields of a Frame take."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The part that all networks of a search share. Raises InputError if sizes do not divide."""

    image: int
    """Side of the (square) image in pixels."""
    channels: int
    """Colour channels, 1 or 3."""
    patch: int
    """Side of a patch in pixels."""
    classes: int
    """What images are told apart into."""
    d: int
    """Token width."""
    M: int
    """Blocks."""
    N: int
    """Head groups a block."""
    heads: int = 1
    """Attention heads a group."""
    activation: str = "swish"
    """Of the FFN: `swish` (the paper) or `gelu` (the authors' release and DeiT)."""
    local: str = later("conv1d")
    """What a local head is: `conv1d` over the tokens (the paper's choice), `conv2d` over the grid
    of patches, or `attention` to the patches around (the paper's ablation of locality)."""
    stem: str = later("patch")
    """What makes patches of an image: `patch`, one convolution (the paper's), `conv`, several small
    ones with BatchNorm, or `residual`, residual blocks of such (`hnas.architecture.stem`)."""
    pool: str = later("class")
    """What the classifier sees: a `class` token of its own (the paper's), or the `mean` of the
    patches; then there is no class token."""

    def __post_init__(self) -> None:
        for name in ("image", "channels", "patch", "classes", "d", "M", "N", "heads"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InputError(f"{name} must be a whole number >= 1, got {value!r}")
            if value > MOST.get(name, value):
                raise InputError(f"{name} must be at most {MOST[name]}, got {value}")
        if self.image % self.patch:
            raise InputError(f"patch must divide image={self.image}, got patch={self.patch}")
        if self.d % self.N:
            raise InputError(f"N must divide d={self.d}, got N={self.N}")
        for name, known in NAMED.items():
            if (value := getattr(self, name)) not in known:
                raise InputError(f"{name} must be one of {known}, got {value!r}")
        if KINDS[self.local].attends and self.d % (self.N * self.heads):
            raise InputError(
                f"N x heads must divide d={self.d} if local = {self.local!r} (its heads are "
                f"multiples of d / (N x heads) wide), got N={self.N}, heads={self.heads}"
            )

    @property
    def side(self) -> int:
        """Patches a side of the (square) grid."""
        return self.image // self.patch

    @property
    def T(self) -> int:
        """Tokens: patches, and the class token if there is one."""
        return self.side**2 + (self.pool == "class")

    def block(self, G: int, d_k: int, d_z: int, E: int, K: int) -> Block:
        """The canonical block with G global groups; if G is SKIP, none."""
        if G == SKIP:
            return SKIPPED
        return Block.of(G=G, L=self.N - G, d_k=d_k, d_z=d_z, E=E, K=K)

    def check(self, block: Block) -> None:
        """Raises InputError if the block cannot be built in this frame."""
        if block == SKIPPED:
            return
        if block.G + block.L != self.N:
            raise InputError(f"G + L must be N={self.N}, got G={block.G}, L={block.L}")
        heads = self.N * self.heads
        if block.d_k is not None and block.d_k % heads:
            raise InputError(f"d_k must be a multiple of N x heads = {heads}, got {block.d_k}")
        widest = 2 * self.side - 1
        if KINDS[self.local].on_grid and (block.K or 0) > widest:
            raise InputError(
                f"K must be at most {widest} if local = {self.local!r}: it is in patches a "
                f"side, and in a grid of {self.side} x {self.side} there are none farther off; "
                f"got {block.K}"
            )

    def check_arch(self, arch: Arch) -> None:
        """Raises InputError if the architecture cannot be built in this frame."""
        if len(arch.blocks) != self.M:
            raise InputError(f"the network has M={self.M} blocks, got {len(arch.blocks)}")
        for i, block in enumerate(arch.blocks):
            try:
                self.check(block)
            except InputError as error:
                raise InputError(f"block {i}: {error}") from None

    def all_global(self) -> Arch:
        """The ViT of this frame: all groups global, d_k = d, d_z = 4."""
        return Arch((Block(G=self.N, L=0, d_k=self.d, d_z=4),) * self.M)


SIZES = ("d_k", "d_z", "E", "K")
"""The sizes of a block, in the order of `Frame.block`."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """Candidates that blocks of one kind have of their own; empty: those of all blocks."""

    d_k: tuple[int, ...] = ()
    """Query, key and value width; not of local blocks."""
    d_z: tuple[int, ...] = ()
    """Expansion of the FFN."""
    E: tuple[int, ...] = ()
    """Expansion of the local head."""
    K: tuple[int, ...] = ()
    """Kernel of the local head."""

    def __post_init__(self) -> None:
        for name, values in vars(self).items():
            _check_distinct(name, values)


def _check_distinct(name: str, values: tuple[int, ...], least: int = 0) -> None:
    if len(set(values)) != len(values) or len(values) < least:
        rule = "must be distinct candidates" + ", at least one" * least
        raise InputError(f"{name} {rule}, got {list(values)}")


@dataclass(frozen=True, kw_only=True)
class BlockSpace:
    """The candidates of one block."""

    G: tuple[int, ...]
    """SKIP among them: it may be skipped."""
    d_k: tuple[int, ...]
    d_z: tuple[int, ...]
    E: tuple[int, ...]
    K: tuple[int, ...]
    mixed: Own = later(Own())
    """What it chooses from instead if it is mixed."""
    local: Own = later(Own())
    """The same if all its groups are local. Has no d_k."""

    def __post_init__(self) -> None:
        for name in ("G", *SIZES):
            _check_distinct(name, getattr(self, name), least=1)
        if self.local.d_k:
            raise InputError(
                f"local.d_k has no meaning, a local block has no queries, got {self.local.d_k}"
            )

    def own(self, G: int, N: int) -> tuple[str, Own]:
        """The name of what a block with G of N groups global has of its own, and that."""
        if 0 < G < N:
            return "mixed", self.mixed
        return ("local", self.local) if G == 0 else ("", Own())

    def of(self, G: int, N: int) -> tuple[tuple[int, ...], ...]:
        """The candidates of each of SIZES if G of N groups are global."""
        _, own = self.own(G, N)
        return tuple(getattr(own, name) or getattr(self, name) for name in SIZES)

    def all(self, N: int) -> tuple[tuple[int, ...], ...]:
        """The candidates of G and of each of SIZES, whatever the kind of the block."""
        kinds = [self.of(G, N) for G in self.G]
        sizes = (dict.fromkeys(itertools.chain(*lists)) for lists in zip(*kinds, strict=True))
        return self.G, *map(tuple, sizes)

    def nearest(self, N: int, G: int, *sizes: int) -> tuple[int, ...]:
        """G and SIZES with each size the nearest candidate of a block of that kind."""
        near = (
            min(values, key=lambda value: abs(value - size))
            for values, size in zip(self.of(G, N), sizes, strict=True)
        )
        return G, *near


@dataclass(frozen=True, kw_only=True)
class Space:
    """The architectures of a frame that a stage chooses from.

    Raises InputError if a candidate cannot be built in the frame.
    """

    frame: Frame
    blocks: tuple[BlockSpace, ...]

    def __post_init__(self) -> None:
        if len(self.blocks) != self.frame.M:
            raise InputError(
                f"a space needs candidates for M={self.frame.M} blocks, got {len(self.blocks)}"
            )
        for block in set().union(*self.choices):
            self.frame.check(block)

    @cached_property
    def choices(self) -> tuple[tuple[Block, ...], ...]:
        """For each block its distinct choices, in `Block.key` order."""
        made = {}
        for space in set(self.blocks):
            distinct = {
                self.frame.block(G, *sizes)
                for G in space.G
                for sizes in itertools.product(*space.of(G, self.frame.N))
            }
            made[space] = tuple(sorted(distinct, key=lambda block: block.key))
        return tuple(made[space] for space in self.blocks)

    @cached_property
    def _known(self) -> tuple[frozenset[Block], ...]:
        """The choices, to look one up."""
        return tuple(frozenset(choices) for choices in self.choices)

    @property
    def index_tuples(self) -> int:
        """The paper's count: every combination of indices (324^12 for GLiT at M = 12)."""
        N = self.frame.N
        return math.prod(
            sum(1 if G == SKIP else math.prod(map(len, block.of(G, N))) for G in block.G)
            for block in self.blocks
        )

    @property
    def distinct(self) -> int:
        """Distinct architectures (198^12 for GLiT at M = 12)."""
        return math.prod(len(choices) for choices in self.choices)

    def __contains__(self, arch: Arch) -> bool:
        return len(arch.blocks) == self.frame.M and all(
            block in choices for block, choices in zip(arch.blocks, self._known, strict=True)
        )

    def sample(self, rng: np.random.Generator) -> Arch:
        """An architecture with every size drawn uniformly (SPOS, 1904.00420, section 3.3).

        Uniform over G first, then over the sizes that the block uses: a mixed block has more
        distinct choices than a global one and must not be drawn more often for it.
        """
        blocks = []
        for space in self.blocks:
            G = space.G[rng.integers(len(space.G))]
            lists = space.of(G, self.frame.N)
            sizes = (values[rng.integers(len(values))] for values in lists)
            blocks.append(self.frame.block(G, *sizes))
        return Arch(tuple(blocks))


def distribution_space(frame: Frame, *, d_k: int, d_z: int, E: int, K: int) -> Space:
    """Stage 1: (G, L) of every block, sizes fixed."""
    return size_space(frame, None, d_k=(d_k,), d_z=(d_z,), E=(E,), K=(K,))


def size_space(
    frame: Frame,
    distribution: Arch | None,
    *,
    d_k: tuple[int, ...],
    d_z: tuple[int, ...],
    E: tuple[int, ...],
    K: tuple[int, ...],
    mixed: Own = Own(),
    local: Own = Own(),
) -> Space:
    """Stage 2: the sizes of every block, its (G, L) as in `distribution`; mixed and local blocks
    may have candidates of their own. Blocks that `distribution` skips stay skipped.

    With None, (G, L) is free too: the paper's whole space, searched at once.
    """
    groups = [tuple(range(frame.N + 1))] * frame.M
    if distribution is not None:
        frame.check_arch(distribution)
        groups = [(block.choice,) for block in distribution.blocks]
    sizes = BlockSpace(G=(0,), d_k=d_k, d_z=d_z, E=E, K=K, mixed=mixed, local=local)
    blocks = (replace(sizes, G=G) for G in groups)
    return Space(frame=frame, blocks=tuple(blocks))


def skippable(space: Space) -> Space:
    """The space in which blocks may be skipped too: all but the first, or, behind a residual stem,
    which is a network by itself, all."""
    stays = 0 if space.frame.stem == "residual" else 1
    more = (replace(block, G=(SKIP, *block.G)) for block in space.blocks[stays:])
    return replace(space, blocks=(*space.blocks[:stays], *more))
