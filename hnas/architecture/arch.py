"""An architecture: what every block of one GLiT is made of (GLiT, section 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hnas.errors import InputError

FIELDS = ("G", "L", "d_k", "d_z", "E", "K")
GLYPHS = {"global": "■", "mixed": "◧", "local": "□", "skipped": "·"}
"""By `Block.kind`."""
SKIP = -1
"""Instead of a number of global groups: there is no such block (`Block.choice`)."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block's choice. Canonical: a size that the block cannot use is None. A skipped block has
    no groups and no FFN, and gives what it gets.

    Raises InputError if a size is missing, superfluous or out of range.
    """

    G: int
    """Global groups: heads of self-attention."""
    L: int
    """Local groups: heads of `Frame.local`, a 1-D convolution by default. G + L = N."""
    d_z: int
    """FFN expansion d_m / d."""
    d_k: int | None = None
    """Width of queries, of keys and of values if all N groups were global; None if G = 0."""
    E: int | None = None
    """Expansion of the local head; None if L = 0."""
    K: int | None = None
    """Kernel or window of the local head, odd; in tokens if it is conv1d, in patches a side
    if not. None if L = 0."""

    def __post_init__(self) -> None:
        skipped = (self.G, self.L, self.d_z) == (0, 0, 0)
        for name in FIELDS:
            value = getattr(self, name)
            least = 0 if name in ("G", "L") or skipped else 1
            if value is not None and (type(value) is not int or value < least):
                raise InputError(f"{name} must be a whole number >= {least}, got {value!r}")
        if self.G + self.L < 1 and not skipped:
            raise InputError(
                f"a block needs G + L >= 1 unless it is skipped (d_z = 0), got G={self.G}, "
                f"L={self.L}, d_z={self.d_z}"
            )
        for name, why in (("d_k", "G"), ("E", "L"), ("K", "L")):
            value, used = getattr(self, name), getattr(self, why) > 0
            if used and value is None:
                raise InputError(f"{name} is needed if {why} > 0 and is missing")
            if not used and value is not None:
                raise InputError(f"{name} has no meaning if {why} = 0, got {name}={value}")
        if self.K is not None and self.K % 2 == 0:
            raise InputError(f"K must be odd (the kernel has a centre), got {self.K}")

    @classmethod
    def of(cls, *, G: int, L: int, d_k: int, d_z: int, E: int, K: int) -> Block:
        """The canonical block: sizes that it cannot use are dropped."""
        return cls(
            G=G, L=L, d_z=d_z, d_k=d_k if G else None, E=E if L else None, K=K if L else None
        )

    @property
    def key(self) -> tuple[int, ...]:
        """A total order over blocks (None counts as 0)."""
        return tuple(getattr(self, name) or 0 for name in FIELDS)

    @property
    def kind(self) -> str:
        """`global`, `mixed`, `local` or `skipped`."""
        if not self.d_z:
            return "skipped"
        return "local" if not self.G else "global" if not self.L else "mixed"

    @property
    def choice(self) -> int:
        """What the first stage chooses: G, or SKIP."""
        return self.G if self.d_z else SKIP


SKIPPED = Block(G=0, L=0, d_z=0)
"""A block that is not there."""


@dataclass(frozen=True)
class Arch:
    """The choice for all M blocks, first to last. Hashable and canonical."""

    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        if not self.blocks:
            raise InputError("an architecture needs at least one block, got none")

    @property
    def key(self) -> tuple[tuple[int, ...], ...]:
        """A total order over architectures: by the first block, then the second, ..."""
        return tuple(block.key for block in self.blocks)

    def __repr__(self) -> str:
        """`Arch(◧□■ G=2,0,3 L=1,3,0 d_k=48,-,48 d_z=4 E=1,2,- K=3,5,-)`; a size that all blocks
        have in common once."""
        sizes = []
        for name in FIELDS:
            values = ["-" if v is None else str(v) for v in (getattr(b, name) for b in self.blocks)]
            sizes.append(f"{name}={','.join(values if len(set(values)) > 1 else values[:1])}")
        return f"Arch({''.join(GLYPHS[b.kind] for b in self.blocks)} {' '.join(sizes)})"

    def to_dict(self) -> dict[str, Any]:
        """`{"blocks": [{"G": 3, "L": 0, "d_k": 192, "d_z": 4}, ...]}`, without unused sizes."""
        blocks = []
        for block in self.blocks:
            fields = ((name, getattr(block, name)) for name in FIELDS)
            blocks.append({name: value for name, value in fields if value is not None})
        return {"blocks": blocks}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, value: object) -> Arch:
        """The inverse of `to_dict`. Raises InputError naming the block and the field."""
        if not isinstance(value, Mapping) or set(value) != {"blocks"}:
            found = sorted(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise InputError(f"an architecture is an object with the one key 'blocks', got {found}")
        rows = value["blocks"]
        if not isinstance(rows, list):
            raise InputError(f"'blocks' must be a list, got {type(rows).__name__}")
        blocks = []
        for i, row in enumerate(rows):
            try:
                blocks.append(_block(**row))
            except TypeError:  # no mapping, or not of the right names
                blocks.append(_checked(i, row))
            except InputError as error:
                raise InputError(f"block {i}: {error}") from None
        return cls(tuple(blocks))

    @classmethod
    def from_json(cls, text: str) -> Arch:
        """The inverse of `to_json`. Raises InputError."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"an architecture must be JSON: {error}") from None
        return cls.from_dict(value)


@lru_cache(maxsize=4096, typed=True)
def _block(**sizes: Any) -> Block:
    """A block; archs have few different ones, and a study has many archs."""
    return Block(**sizes)


def _checked(i: int, row: object) -> Block:
    """Block `i` of a row that is of an unusual kind. Raises InputError if it cannot be one."""
    if not isinstance(row, Mapping):
        raise InputError(f"block {i} must be an object, got {type(row).__name__}")
    unknown = sorted(set(map(str, row)) - set(FIELDS))
    missing = [name for name in ("G", "L", "d_z") if name not in row]
    if unknown or missing:
        raise InputError(
            f"block {i}: the keys are {', '.join(FIELDS)}; unknown: {unknown}, missing: {missing}"
        )
    try:
        return Block(**row)
    except InputError as error:
        raise InputError(f"block {i}: {error}") from None
