"""The layout of shared weights, against its description in words: by loops, without its tables.

A subnet's standalone network is cut out by the same tables, so that only a second description sees
two axes that changed places in both.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch

from hnas.architecture import layout
from hnas.architecture.arch import Block
from hnas.architecture.space import LOCALS, Frame
from hnas.network.slicing import subnet

LARGE = {"q": 3, "v": 2, "one": 1, "H": 3, "h": 4, "Cg": 6, "Cl": 6, "E": 3, "K": 5}
LARGE |= {"Hl": 3, "hl": 4, "d": 12, "m": 8}
SMALL = LARGE | {"H": 2, "h": 3, "Cg": 4, "Cl": 4, "E": 2, "K": 3, "Hl": 2, "hl": 3, "m": 5}


def front(axis: str) -> list[int]:
    return list(range(SMALL[axis]))


def end(axis: str) -> list[int]:
    return list(range(LARGE[axis] - SMALL[axis], LARGE[axis]))


def centre(axis: str) -> list[int]:
    before = (LARGE[axis] - SMALL[axis]) // 2
    return list(range(before, before + SMALL[axis]))


def nested(*axes: tuple[str, list[int]]) -> list[int]:
    """Rows of the large weight: the last axis runs fastest."""
    rows = []
    for place in itertools.product(*(kept for _, kept in axes)):
        row = 0
        for (axis, _), index in zip(axes, place, strict=True):
            row = row * LARGE[axis] + index
        rows.append(row)
    return rows


HEADS = (("q", [0, 1, 2]), ("H", front("H")), ("h", front("h")))
GATED = (("v", [0, 1]), ("E", front("E")), ("Cl", end("Cl")))
INNER = (("E", front("E")), ("Cl", end("Cl")))
WINDOW = (("q", [0, 1, 2]), ("Hl", end("Hl")), ("hl", front("hl")))
CL = [nested(("Cl", end("Cl")))]
SHARED: dict[str, list[list[int]]] = {
    # query, key and value, each with the first heads, each with its first channels
    "qkv.weight": [nested(*HEADS), front("Cg")],
    "qkv.bias": [nested(*HEADS)],
    "proj.weight": [front("Cg"), nested(*HEADS[1:])],
    "proj.bias": [front("Cg")],
    "fc1.weight": [front("m"), front("d")],
    "fc1.bias": [front("m")],
    "fc2.weight": [front("d"), front("m")],
    "fc2.bias": [front("d")],
    **{f"norm{i}.{kind}": [front("d")] for i in (1, 2) for kind in ("weight", "bias")},
}
KERNEL = {"conv1d": [centre("K")], "conv2d": [centre("K"), centre("K")]}
LOCAL: dict[str, dict[str, list[list[int]]]] = {
    # all values before all gates: F.glu halves them, whatever the expansion
    **{
        kind: {
            "expand.weight": [nested(*GATED), *CL],
            "expand.bias": [nested(*GATED)],
            "depthwise.weight": [nested(*INNER), [0], *kernel],
            "depthwise.bias": [nested(*INNER)],
            "norm.weight": [nested(*INNER)],
            "norm.bias": [nested(*INNER)],
            "project.weight": [*CL, nested(*INNER)],
            "project.bias": CL,
        }
        for kind, kernel in KERNEL.items()
    },
    "attention": {
        "expand.weight": [nested(*WINDOW), *CL],
        "expand.bias": [nested(*WINDOW)],
        "project.weight": [*CL, nested(*WINDOW[1:])],
        "project.bias": CL,
    },
}


def taken(weight: torch.Tensor, places: Sequence[list[int]]) -> torch.Tensor:
    for dim, place in enumerate(places):
        weight = weight.index_select(dim, torch.tensor(place))
    return weight


@pytest.mark.parametrize("local", LOCALS)
def test_a_subnet_takes_what_the_description_says(local: str) -> None:
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=1, N=2, local=local)
    described = SHARED | LOCAL[local]
    tables = layout.tensors(frame, LARGE)
    assert tables.keys() == described.keys()
    for name, tensor in tables.items():
        weight = torch.arange(float(tensor.numel(LARGE))).view(tensor.shape(LARGE))
        found = subnet(weight, tensor, LARGE, SMALL)
        assert torch.equal(found, taken(weight, described[name])), name


@pytest.mark.parametrize("local", LOCALS)
def test_the_sizes_of_a_block_by_hand(local: str) -> None:
    """One of 3 groups is global: two heads, a sixth of d_k wide, on a third of the channels."""
    frame = Frame(image=8, channels=1, patch=2, classes=2, d=24, M=1, N=3, heads=2, local=local)
    found = layout.sizes(frame, Block(G=1, L=2, d_k=12, d_z=4, E=2, K=3))
    attends = local == "attention"
    assert {axis: found[axis] for axis in ("H", "h", "Cg", "Cl", "d", "m", "E", "K")} == {
        "H": 2, "h": 2, "Cg": 8, "Cl": 16, "d": 24, "m": 96, "E": 2, "K": 3,
    }  # fmt: skip
    assert (found["Hl"], found["hl"]) == ((4, 8) if attends else (0, 0))
