"""Traits of a report's best networks: what the score depends on, what they share, chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from hnas.studies.findings.findings import LEVEL, Findings, Order, Share
from hnas.studies.report import pictures
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Drawing, Section, Table


def importance_section(report: Report) -> Section:
    """The parameters that the score depends on."""
    if not any(found.importances for found in report.findings):
        return Section(
            title="What the score depends on", text=("There are too few trials to tell.",)
        )
    text = []
    for found in report.findings:
        if found.importances:
            above = [
                f"{name} ({value:.2f})"
                for name, value in found.importances.values.items()
                if value > found.importances.chance
            ]
            text.append(f"{found.of}: {', '.join(above) or 'no parameter'} above chance.")
    return Section(
        title="What the score depends on",
        text=tuple(text),
        drawings=(
            Drawing(
                alt="The parameters on which the score depends most",
                draw=partial(pictures.importance, report),
            ),
        ),
        notes=(
            "fANOVA: the share of the score's variance that a parameter explains by itself. "
            "PED-ANOVA: how much its values in the best tenth differ from those of all trials. "
            "Dashed line: importance that one parameter in twenty exceeds with shuffled scores. "
            "b01.K is the kernel of block 1.",
        ),
    )


def traits_section(report: Report) -> Section:
    """The order of local and global blocks, and their shares, compared with chance."""
    text = []
    for found in report.findings:
        text.append(f"{found.of}: {found.elites} of {found.trials:,} trials.")
        if order := found.order:
            text.append(
                f"Blocks change between mostly local and mostly global at {order.turns:.1f} of "
                f"{order.neighbours} borders ({order.turns_chance:.1f} by chance, "
                f"p = {order.turns_p:.2f}). {_trend(order)} with depth (Spearman "
                f"{order.trend:+.2f}, p = {order.trend_p:.2f})."
            )
    return Section(
        title="What the best have in common",
        text=tuple(text),
        drawings=(
            Drawing(
                alt="Global groups by block, and shares compared with chance",
                draw=partial(pictures.common, report),
            ),
        ),
        tables=(
            Table(
                columns=("of", "blocks", "", "count", "share", "95% interval", "chance", "p"),
                left=3,
                rows=tuple(_shares(report.findings)) + tuple(_shares((report.paper,))),
            ),
        ),
        notes=(
            "Chance: as many random networks within the budget; for kernels, with the same "
            "distributions. The best networks of one search are relatives, but intervals and p "
            "assume independent ones, so they claim too much. GLiT-Tiny is the network that the "
            "paper (2107.02960) found on ImageNet.",
        ),
    )


def _trend(order: Order) -> str:
    if order.trend_p >= LEVEL:
        return "Global groups neither rise nor fall clearly"
    return f"Global groups {'rise' if order.trend > 0 else 'fall'}"


def _shares(found: Sequence[Findings]) -> Iterator[tuple[str, ...]]:
    for findings in found:
        for share in (*findings.kinds, *findings.kernels):
            yield (findings.of, *_share(share))


def _share(share: Share) -> tuple[str, ...]:
    return (
        share.what,
        share.words,
        f"{share.count} of {share.of}",
        f"{share.share:.2f}",
        f"{share.low:.2f} to {share.high:.2f}",
        f"{share.chance:.2f}",
        f"{share.p:.3f}",
    )
