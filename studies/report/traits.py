"""Traits of a report's best networks: what the score depends on, what they share, chance."""

from functools import partial

from hnas.studies.findings.conclusion import CAUTION, conclusion
from hnas.studies.findings.findings import LEVEL, Order, Share
from hnas.studies.report import pictures
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Drawing, Section, Table


def importance_section(report: Report) -> Section:
    """The parameters that the score depends on."""
    title = "What the score depends on"
    text = []
    for found in report.findings:
        if measured := found.importances:
            values = measured.values.items()
            above = [f"{name} ({value:.2f})" for name, value in values if value > measured.chance]
            text.append(f"{found.of}: {', '.join(above) or 'no parameter'} above chance.")
    if not text:
        return Section(title=title, text=("There are too few trials to tell.",))
    alt = "The parameters on which the score depends most"
    return Section(
        title=title,
        text=tuple(text),
        drawings=(Drawing(alt, partial(pictures.importance, report)),),
        notes=(
            "fANOVA: the share of the score's variance that a parameter explains by itself. "
            "PED-ANOVA: how much its values in the best tenth differ from those of all trials. "
            "Dashed line: importance that one parameter in twenty exceeds with shuffled scores. "
            "b01.K is the kernel of block 1.",
        ),
    )


def traits_section(report: Report) -> Section:
    """The order of local and global blocks, and their shares, compared with chance."""
    text = [*map(conclusion, report.findings), CAUTION]
    for found in report.findings:
        text.append(f"{found.of}: {found.elites} of {found.trials:,} trials.")
        if order := found.order:
            text.append(
                f"Blocks change between mostly local and mostly global at {order.turns:.1f} of "
                f"{order.neighbours} borders ({order.turns_chance:.1f} by chance, "
                f"p = {order.turns_p:.2f}). {_trend(order)} with depth (Spearman "
                f"{order.trend:+.2f}, p = {order.trend_p:.2f})."
            )
    columns = ("of", "blocks", "", "count", "share", "95% interval", "chance", "p")
    rows = (
        (found.of, *_cells(share))
        for found in (*report.findings, report.paper)
        for share in (*found.kinds, *found.kernels)
    )
    alt = "Global groups by block, and shares compared with chance"
    return Section(
        title="What the best have in common",
        text=tuple(text),
        drawings=(Drawing(alt, partial(pictures.common, report)),),
        tables=(Table(columns, tuple(rows), left=3),),
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


def _cells(share: Share) -> tuple[str, ...]:
    return (
        share.what,
        share.words,
        f"{share.count} of {share.of}",
        f"{share.share:.2f}",
        f"{share.low:.2f} to {share.high:.2f}",
        f"{share.chance:.2f}",
        f"{share.p:.3f}",
    )
