"""Pictures of findings: global groups by depth, shared traits, importances."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnas.studies.figures.style import COLOURS, MARKERS, panels
from hnas.studies.findings.findings import Findings, Share
from hnas.studies.findings.importances import Importances

GREY = "#999999"
SHOWN = 10
"""Most parameters that a picture of importances shows."""


def figure(found: Sequence[Findings], published: Findings) -> Figure:
    """All findings of a run, and those of the published network."""
    ranked = [findings for findings in found if findings.importances]
    count = 2 + len(ranked)
    drawn, axes = panels(math.ceil(count / 2), 2, width=10, height=3.6 * math.ceil(count / 2))
    depth_panel(axes[0], found)
    shares_panel(axes[1], found, published)
    for axis, findings in zip(axes[2:], ranked, strict=False):
        assert findings.importances is not None
        importances_panel(axis, findings.of, findings.importances)
    for axis in axes[count:]:
        axis.set_axis_off()
    return drawn


def depth_panel(axis: Axes, found: Sequence[Findings]) -> None:
    """The share of global groups by block, of each study's elites and by chance."""
    for i, findings in enumerate(found):
        blocks = range(1, len(findings.depth) + 1)
        style = "-" if findings.kinds else "--"
        note = "" if findings.kinds else " (handed over)"
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        label = f"{findings.of}{note}"
        axis.plot(blocks, findings.depth, style, color=colour, marker=marker, label=label)
        if findings.kinds:
            axis.plot(blocks, findings.depth_chance, ":", color=GREY, label="by chance")
        axis.set_xticks(blocks)
    axis.set(ylim=(-0.05, 1.05), xlabel="block, first to last", ylabel="global groups, of all")
    axis.set_title("Local and global with depth")
    if found:
        axis.legend(fontsize="small")


def shares_panel(axis: Axes, found: Sequence[Findings], published: Findings | None = None) -> None:
    """Each share with its interval, on a bar that shows chance."""
    rows: list[tuple[str, Share, Share | None]] = []
    theirs = {share.what: share for share in published.kinds} if published else {}
    for findings in found:
        for share in (*findings.kinds, *findings.kernels):
            rows.append((f"{findings.of}: {share.what}", share, theirs.get(share.what)))
    for y, (_, share, their) in enumerate(rows):
        first = y == 0
        width = share.chance_high - share.chance_low
        label = "by chance, 95%" if first else None
        axis.barh(y, width, left=share.chance_low, height=0.6, color="#dddddd", label=label)
        errors = [[max(share.share - share.low, 0)], [max(share.high - share.share, 0)]]
        axis.errorbar(
            share.share,
            y,
            xerr=errors,
            fmt=MARKERS[0],
            color=COLOURS[0],
            capsize=3,
            label="elites" if first else None,
        )
        if their is not None:
            label = "GLiT-Tiny, published" if first else None
            axis.plot(their.share, y, MARKERS[3], color=COLOURS[1], label=label, linestyle="none")
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axis.invert_yaxis()
    axis.set(xlim=(-0.02, 1.02), xlabel="share of blocks")
    axis.set_title("What elites have in common")
    if rows:
        axis.legend(fontsize="small")


def importances_panel(axis: Axes, of: str, found: Importances) -> None:
    """The most important parameters, and the importance that chance reaches."""
    shown = list(found.values.items())[:SHOWN]
    axis.barh(range(len(shown)), [value for _, value in shown], color=COLOURS[2])
    label = "exceeded by 1 in 20 by chance"
    axis.axvline(found.chance, color=COLOURS[6], linestyle="--", label=label)
    axis.set_yticks(range(len(shown)), [name for name, _ in shown])
    axis.invert_yaxis()
    axis.set(xlabel="share of the score's variance" if found.method == "fANOVA" else "divergence")
    axis.set_title(f"Importance in {of} ({found.method})")
    axis.legend(fontsize="small", loc="lower right")
