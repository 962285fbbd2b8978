"""The layout in which a depthwise convolution of tokens is computed: a choice by device and size.

On a CPU it is USUAL. Which is the fastest on a GPU has to be timed there (`hnas.cost.layouts`);
until `use` is told, it is USUAL too. Tokens x (B, T, C), a kernel (C, 1, K) or (C, 1, K, K).
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

Convolve = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, weight, bias) -> (B, T, C), with "same" zero padding."""

USUAL = "channels-last"
_chosen: dict[str, str] = {}


def size(T: int, kernel: Sequence[int]) -> str:
    """The name of a size: "197 x 192, kernel 31"."""
    C, _, *sides = kernel
    return f"{T} x {C}, kernel {' x '.join(map(str, sides))}"


def use(chosen: Mapping[str, str]) -> None:
    """From now on, this process's GPU computes these sizes by the layouts of these names, and all
    other sizes by the usual one."""
    _chosen.clear()
    _chosen.update(chosen)


def layout(x: Tensor, weight: Tensor, of: Mapping[str, Convolve]) -> Convolve:
    """The layout for tokens and a kernel, of those that there are."""
    if x.device.type == "cpu" or not _chosen:
        return of[USUAL]
    return of[_chosen.get(size(x.shape[1], weight.shape), USUAL)]
