"""Slices of shared weights for a subnet: pure functions over `hnas.architecture.layout`."""

import torch

from hnas.architecture.layout import CENTRE, END, Sizes, Tensor


def cut(weight: torch.Tensor, tensor: Tensor, stored: Sizes, sizes: Sizes) -> torch.Tensor:
    """The part that a block of `sizes` uses of a weight of `stored` sizes: a view, with one
    dimension an axis."""
    part = weight.view(tensor.stored(stored))
    for dim, axis in enumerate(tensor.axes):
        have, want = stored[axis], sizes[axis]
        if have != want:
            start = have - want if axis in END else (have - want) // 2 if axis in CENTRE else 0
            part = part.narrow(dim, start, want)
    return part


def subnet(weight: torch.Tensor, tensor: Tensor, stored: Sizes, sizes: Sizes) -> torch.Tensor:
    """The weight as the standalone block of `sizes` has it.

    A view if the cut is contiguous (the whole weight, or its first rows), else one gather of
    the weight, never of an activation. So the matrix product sees the same memory layout as in the
    standalone network and its result is the same to the last bit.
    """
    if all(stored[axis] == sizes[axis] for axis in tensor.axes):
        return weight  # most weights: neither forward nor backward has anything to do
    return cut(weight, tensor, stored, sizes).contiguous().view(tensor.shape(sizes))


def overlap(new: Sizes, old: Sizes) -> dict[str, int]:
    """The sizes that two stored blocks have in common."""
    return {axis: min(new[axis], old[axis]) for axis in new}
