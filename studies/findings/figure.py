"""Pictures of findings: global groups by depth, shared traits, importances."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnas.studies.figures.style import COLOURS, MARKERS, panels
from hnas.studies.findings.findings import Findings
from hnas.studies.findings.importances import Importances

GREY = "#999999"
SHOWN = 10
"""Most parameters that a picture of importances shows."""


def figure(found: Sequence[Findings], published: Findings) -> Figure:
    """All findings of a run, and those of the published network."""
    rows = 1 + math.ceil(sum(findings.importances is not None for findings in found) / 2)
    drawn, axes = panels(rows, 2, width=10, height=3.6 * rows)
    depth_panel(axes[0], found)
    shares_panel(axes[1], found, published)
    importances_panels(axes[2:], found)
    return drawn


def depth_panel(axis: Axes, found: Sequence[Findings]) -> None:
    """The share of global groups by block, of each study's elites and by chance."""
    for i, findings in enumerate(found):
        blocks = range(1, len(findings.depth) + 1)
        style, note = ("-", "") if findings.kinds else ("--", " (handed over)")
        colour, marker, label = COLOURS[i % 7], MARKERS[i % 7], f"{findings.of}{note}"
        axis.plot(blocks, findings.depth, style, color=colour, marker=marker, label=label)
        if findings.kinds:
            axis.plot(blocks, findings.depth_chance, ":", color=GREY, label="by chance")
        axis.set_xticks(blocks)
    axis.set(ylim=(-0.05, 1.05), xlabel="block, first to last", ylabel="global groups, of all")
    axis.set_title("Local and global with depth")
    if found:
        axis.legend(fontsize="small")


def shares_panel(axis: Axes, found: Sequence[Findings], published: Findings) -> None:
    """Each share with its interval, on a bar that shows chance."""
    theirs = {share.what: share.share for share in published.kinds}
    shares = [(one.of, share) for one in found for share in (*one.kinds, *one.kernels)]
    numbers = [(s.share, s.low, s.high, s.chance_low, s.chance_high) for _, s in shares]
    share, low, high, left, right = np.reshape(numbers, (-1, 5)).T
    rows, label = range(len(shares)), "by chance, 95%"
    axis.barh(rows, right - left, left=left, height=0.6, color="#dddddd", label=label)
    errors, dot = np.maximum([share - low, high - share], 0), MARKERS[0]
    axis.errorbar(share, rows, xerr=errors, fmt=dot, color=COLOURS[0], capsize=3, label="elites")
    known = {y: theirs[s.what] for y, (_, s) in enumerate(shares) if s.what in theirs}
    if known:
        x, y, label = list(known.values()), list(known), "GLiT-Tiny, published"
        axis.plot(x, y, MARKERS[3], color=COLOURS[1], linestyle="none", label=label)
    axis.set_yticks(rows, [f"{of}: {s.what}" for of, s in shares])
    axis.invert_yaxis()
    axis.set(xlim=(-0.02, 1.02), xlabel="share of blocks")
    axis.set_title("What elites have in common")
    if shares:
        axis.legend(fontsize="small")


def importances_panels(axes: Sequence[Axes], found: Sequence[Findings]) -> None:
    """A panel for each study that has importances; axes that are left over stay empty."""
    known = [(findings.of, findings.importances) for findings in found if findings.importances]
    for axis, (of, importances) in zip(axes, known, strict=False):
        _importances_panel(axis, of, importances)
    for axis in axes[len(known) :]:
        axis.set_axis_off()


def _importances_panel(axis: Axes, of: str, found: Importances) -> None:
    """The most important parameters, and the importance that chance reaches."""
    names, values = zip(*list(found.values.items())[:SHOWN], strict=True)
    axis.barh(range(len(names)), values, color=COLOURS[2])
    label = "exceeded by 1 in 20 by chance"
    axis.axvline(found.chance, color=COLOURS[6], linestyle="--", label=label)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel="share of the score's variance" if found.method == "fANOVA" else "divergence")
    axis.set_title(f"Importance in {of} ({found.method})")
    axis.legend(fontsize="small", loc="lower right")
