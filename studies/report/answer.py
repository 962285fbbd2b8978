"""The answer of a report: the winner compared with an all-global network, and drawn."""

from __future__ import annotations

from functools import partial

from hnas.architecture.arch import FIELDS
from hnas.studies.figures.glyphs import GLYPHS, LEGEND, drawn
from hnas.studies.figures.network import Picture, network
from hnas.studies.report.cells import costs_of, number, span
from hnas.studies.report.gather import Answer, Report
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.interval import Interval


def answer_section(report: Report) -> Section:
    """Winner and all-global network on the test images; before that, the missing steps."""
    if (found := report.answer) is None:
        return Section(title="No answer yet", text=report.missing)
    difference = found.difference
    clear = difference.low > 0 or difference.high < 0
    better = "better" if difference.value >= 0 else "worse"
    return Section(
        title="The answer",
        text=(
            f"The winner is right on {_percent(found.winner_accuracy)} of {found.test_images:,} "
            f"test images, with {found.winner.macs:,} MACs and {found.winner.params:,} parameters.",
            f"A plain ViT of the same cost (all blocks are global), trained the same way, is right "
            f"on {_percent(found.all_global_accuracy)}, with {found.all_global.macs:,} MACs and "
            f"{found.all_global.params:,} parameters.",
            f"The winner is {abs(100 * difference.value):.1f} points {better} (95% interval "
            f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
            + ("." if clear else "; these test images cannot tell the two apart."),
            *report.missing,
        ),
        tables=(_tested(found),),
        notes=(
            f"{LEGEND} Score: accuracy with inherited weights. Test: accuracy on the test images, "
            "which are read once, after the winner is chosen on held-out images. Intervals: Wilson "
            "for each network, Newcombe for the difference. They cover the choice of test images, "
            "not that of the training seed.",
        ),
    )


def _percent(accuracy: Interval) -> str:
    value, low, high = (100 * one for one in (accuracy.value, accuracy.low, accuracy.high))
    return f"{value:.1f}% (95% interval {low:.1f} to {high:.1f})"


def _tested(found: Answer) -> Table:
    names, costs = costs_of((found.winner, found.all_global))
    return Table(
        columns=(
            *("network", "blocks", "test", "95% interval", "held-out", "score"),
            *(*names, "width"),
        ),
        left=2,
        rows=tuple(
            (
                name,
                drawn(network.arch),
                f"{accuracy.value:.4f}",
                span(accuracy),
                f"{network.accuracy:.4f}",
                number(network.score),
                *cells,
                f"{network.d}",
            )
            for name, network, accuracy, cells in (
                ("winner", found.winner, found.winner_accuracy, costs[0]),
                ("all-global", found.all_global, found.all_global_accuracy, costs[1]),
            )
        ),
    )


def network_section(picture: Picture) -> Section:
    """The drawing of a network, and its blocks in a table."""
    blocks = [block.get for block in picture.arch.to_dict()["blocks"]]
    rows = [
        (
            f"{i}",
            GLYPHS[block.kind],
            *(str(get(name, "")) for name in FIELDS),
            f"{macs:,}",
        )
        for i, (block, get, macs) in enumerate(
            zip(picture.arch.blocks, blocks, picture.macs[:-1], strict=True), 1
        )
    ]
    unused = ("",) * len(FIELDS)
    return Section(
        title=picture.title,
        drawings=(
            Drawing(
                alt=f"{picture.title}, block by block: "
                + ", ".join(block.kind for block in picture.arch.blocks),
                draw=partial(network, picture),
            ),
        ),
        tables=(
            Table(
                columns=("block", "", *FIELDS, "MACs"),
                left=2,
                rows=(
                    *rows,
                    ("shared", "", *unused, f"{picture.macs[-1]:,}"),
                    ("total", "", *unused, f"{sum(picture.macs):,}"),
                ),
            ),
        ),
        notes=(
            "G, L: global groups (self-attention) and local groups (1-D convolution) of a block. "
            "d_k: query and key width if all groups were global. d_z: FFN expansion. E, K: "
            "expansion and kernel of the local groups. Shared: patch embedding and classifier.",
        ),
    )
