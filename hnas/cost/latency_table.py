"""Latency tables: the time of each block, so that a network's latency is a sum. No torch.

All networks of a frame pass the same tokens from block to block, so a block's time is its own.
Whole networks, measured with the blocks, show how far that holds (`hnas.studies.run.latency`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from hnas.architecture.arch import Arch, Block
from hnas.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A network that was measured as it is."""

    arch: Arch
    measured: int
    """Nanoseconds of a batch: the lower quartile of its rounds, as all times here."""


@dataclass(frozen=True, kw_only=True)
class LatencyTable:
    """Nanoseconds of a batch, in eval mode and fp32, by the blocks that a network is made of."""

    batch: int
    """Images at a time."""
    shared: int
    """Of what all networks have: stem, tokens, last norm, classifier."""
    blocks: Mapping[Block, int]
    spread: float
    """Half the distance of a block's quartiles over rounds, as a share of its median; mean."""
    plain: Mapping[int, int]
    """Of all-global networks, by their token width."""
    whole: tuple[Whole, ...]
    """Random networks, measured in turn with the blocks: what the sums are judged by."""

    def block(self, block: Block) -> int:
        """Raises InputError if the block has not been measured."""
        try:
            return self.blocks[block]
        except KeyError:
            raise InputError(
                f"the latency table has {len(self.blocks)} blocks, and not {asdict(block)}: it was "
                "measured for another plan. Use another --run"
            ) from None

    def of(self, arch: Arch) -> int:
        """Nanoseconds of a whole network."""
        return self.shared + sum(map(self.block, arch.blocks))

    def widest(self, most: int) -> int:
        """The widest all-global network that takes at most so long; the narrowest if none does."""
        return max((d for d, its in self.plain.items() if its <= most), default=min(self.plain))

    @cached_property
    def digest(self) -> str:
        """Short sha256: two tables with the same one give the same latencies."""
        made_of = {name: self.to_dict()[name] for name in ("batch", "shared_ns", "blocks")}
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON; blocks in the order of `Block.key`."""
        ordered = sorted(self.blocks, key=lambda block: block.key)
        rows = ({**asdict(block), "ns": self.blocks[block]} for block in ordered)
        return {
            "batch": self.batch,
            "shared_ns": self.shared,
            "blocks": [{name: n for name, n in row.items() if n is not None} for row in rows],
            "spread": self.spread,
            "plain": [{"d": d, "ns": its} for d, its in sorted(self.plain.items())],
            "whole": [
                {**one.arch.to_dict(), "ns": one.measured, "by_table_ns": self.of(one.arch)}
                for one in self.whole
            ],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> LatencyTable:
        """The inverse of `to_dict`. Raises InputError."""
        try:
            return cls(
                batch=int(value["batch"]),
                shared=int(value["shared_ns"]),
                blocks={
                    Block(**{name: size for name, size in row.items() if name != "ns"}): row["ns"]
                    for row in value["blocks"]
                },
                spread=float(value["spread"]),
                plain={int(row["d"]): int(row["ns"]) for row in value["plain"]},
                whole=tuple(
                    Whole(arch=Arch.from_dict({"blocks": row["blocks"]}), measured=int(row["ns"]))
                    for row in value["whole"]
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise InputError(f"no latency table ({type(wrong).__name__}: {wrong})") from None


def milliseconds(nanoseconds: int) -> str:
    """2.513ms, as plans and options take it."""
    return f"{nanoseconds / 1e6:.6f}".rstrip("0").rstrip(".") + "ms"
