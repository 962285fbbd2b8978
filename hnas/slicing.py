"""Cutting a subnet's weights out of the shared ones: pure functions over `hnas.layout`."""

from __future__ import annotations

import torch

from hnas.layout import CENTRE, END, Sizes, Tensor


def cut(stored: torch.Tensor, tensor: Tensor, sizes: Sizes) -> torch.Tensor:
    """The part of a stored weight that a block of these sizes uses: a view, an axis a dimension."""
    for dim, axis in enumerate(tensor.axes):
        have, want = stored.shape[dim], sizes[axis]
        if have != want:
            start = have - want if axis in END else (have - want) // 2 if axis in CENTRE else 0
            stored = stored.narrow(dim, start, want)
    return stored


def subnet(stored: torch.Tensor, tensor: Tensor, sizes: Sizes) -> torch.Tensor:
    """The weight as the standalone block has it.

    A view where the cut is contiguous (all of the tensor, or its first rows), else one gather of
    the weight, never of an activation. So the matrix product sees the same memory layout as in the
    standalone network and its result is the same to the last bit.
    """
    return cut(stored, tensor, sizes).contiguous().view(tensor.shape(sizes))


def overlap(new: Sizes, old: Sizes) -> dict[str, int]:
    """The sizes that two stored blocks have in common."""
    return {axis: min(new[axis], old[axis]) for axis in new}
