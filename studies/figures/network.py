"""A network as a picture: its blocks, their groups and sizes."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.local import KINDS
from hnas.architecture.space import Frame
from hnas.cost.conventions import macs_by_part
from hnas.studies.figures.style import panels


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A network to draw: the winner, or the best so far."""

    title: str
    frame: Frame
    arch: Arch
    macs: tuple[int, ...]
    """Of each block, and last of what all networks of the frame share."""


def picture(title: str, frame: Frame, arch: Arch) -> Picture:
    """A network with the costs of its parts."""
    macs = macs_by_part(frame, arch, "exact")
    return Picture(title=title, frame=frame, arch=arch, macs=macs)


GLOBAL, LOCAL, FFN = "#a8d0ec", "#f6c79b", "#e4e4e4"
"""Pale, so that what is written on them can be read."""
EDGE: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.8}
PER_ROW = 6
"""Blocks in a row of the drawing of a network: more would be too small to read on paper."""


def network(picture: Picture) -> Figure:
    """Block by block: its groups, and the FFN as wide as its expansion."""
    arch = picture.arch
    rows = -(-len(arch.blocks) // PER_ROW)
    figure, axes = panels(rows, 1, width=9, height=0.5 + rows * (0.42 * picture.frame.N + 1.1))
    widest = max(block.d_z for block in arch.blocks)
    for row, axis in enumerate(axes):
        axis.set_axis_off()
        axis.set(xlim=(-0.05, PER_ROW), ylim=(-1.25, picture.frame.N + 0.45))
        first = row * PER_ROW
        for i, block in enumerate(arch.blocks[first : first + PER_ROW]):
            _block(axis, i, first + i, block, picture, widest)
    kinds = (
        (GLOBAL, "", "global group (attention)"),
        (LOCAL, "//", f"local group ({KINDS[picture.frame.local].words})"),
        (FFN, "", "FFN"),
    )
    patches = [
        Patch(fc=colour, ec="black", hatch=hatch, label=text) for colour, hatch, text in kinds
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _block(
    axis: Axes, column: int, number: int, block: Block, picture: Picture, widest: int
) -> None:
    left, width, N = column + 0.04, 0.88, picture.frame.N
    middle = left + width / 2
    for group in range(block.G + block.L):
        if group < block.G:
            colour, hatch, text = GLOBAL, "", f"$d_k$ {block.d_k}"
        else:
            colour, hatch, text = LOCAL, "//", f"K {block.K}, E {block.E}"
        bottom = N - 1 - group
        axis.add_patch(Rectangle((left, bottom), width, 0.92, fc=colour, hatch=hatch, **EDGE))
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
        axis.text(middle, bottom + 0.46, text, ha="center", va="center", fontsize=8, bbox=box)
    if block == SKIPPED:
        axis.text(middle, N / 2, "skipped", ha="center", va="center", fontsize=8)
    else:
        ffn = width * block.d_z / widest
        axis.add_patch(Rectangle((middle - ffn / 2, -0.7), ffn, 0.6, fc=FFN, **EDGE))
        axis.text(middle, -0.4, f"$d_z$ {block.d_z}", ha="center", va="center", fontsize=8)
    share = picture.macs[number] / sum(picture.macs)
    axis.text(middle, N + 0.08, f"block {number + 1}", ha="center", fontsize=9, weight="bold")
    axis.text(middle, -1.1, f"{share:.0%} of MACs", ha="center", fontsize=8)
