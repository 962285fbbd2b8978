"""Kinds of local heads, the part without torch: their weights, and the unit of K.

`hnas.network.local` has a file for each kind, with the rest of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Local:
    """A kind of local head."""

    weights: Mapping[str, str]
    """Axes by name, in the words of `hnas.architecture.layout`."""
    words: str
    """The kind, for people."""
    on_grid: bool
    """K is in patches a side of the grid, and a class token passes aside; else K is in tokens."""
    attends: bool = False
    """Its tokens attend to each other: it has heads (Hl, hl), and no gate."""


def _convolution(kernel: str) -> dict[str, str]:
    return {
        "expand.weight": "v E Cl, Cl",
        "expand.bias": "v E Cl",
        "depthwise.weight": f"E Cl, one, {kernel}",
        "depthwise.bias": "E Cl",
        "norm.weight": "E Cl",
        "norm.bias": "E Cl",
        "project.weight": "Cl, E Cl",
        "project.bias": "Cl",
    }


KINDS = {
    "conv1d": Local(weights=_convolution("K"), words="1-D convolution", on_grid=False),
    "conv2d": Local(weights=_convolution("K, K"), words="2-D convolution", on_grid=True),
    "attention": Local(
        weights={
            "expand.weight": "q Hl hl, Cl",
            "expand.bias": "q Hl hl",
            "project.weight": "Cl, Hl hl",
            "project.bias": "Cl",
        },
        words="attention in windows",
        on_grid=True,
        attends=True,
    ),
}
"""By `Frame.local`."""
