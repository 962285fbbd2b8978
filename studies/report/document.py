"""What a report says and in which order: sections of sentences, tables and pictures.

HTML and Markdown are written from it, so that they say the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from hnas.architecture.arch import FIELDS
from hnas.studies.figures.glyphs import GLYPHS, LEGEND, drawn
from hnas.studies.figures.network import network
from hnas.studies.figures.ranking import ranking
from hnas.studies.findings.findings import LEVEL, Findings, Order, Share
from hnas.studies.objective.costs import MEASURES, Measure, Priced, measures
from hnas.studies.report import pictures
from hnas.studies.report.gather import Answer, Report
from hnas.studies.report.page import Document, Drawing, Section, Table
from hnas.studies.run.interval import Interval
from hnas.studies.run.latency import Measured
from hnas.studies.run.ranking import Ranking
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.trials.pareto import best_by_score, front
from hnas.studies.trials.record import Record

SHOWN = 10
"""Most trials of a front that are listed; all are drawn, and JSON has all."""


def document(report: Report) -> Document:
    """The report in words and pictures."""
    plan = report.plan
    return Document(
        title=f"Search {report.run}",
        lead=(
            f"{plan.data.source}, {plan.net.classes} classes, images of {plan.net.image} x "
            f"{plan.net.image}; {plan.search.strategy} search, "
            f"{report.limits.words().replace('MACs', 'multiply-accumulates (MACs)')}, "
            f"seed {plan.search.seed}"
        ),
        sections=tuple(_sections(report)),
    )


def _sections(report: Report) -> Iterator[Section]:
    yield _answer(report)
    if report.picture:
        yield _network(report)
    if report.studies:
        yield _front(report)
        yield Section(
            title="The search",
            drawings=tuple(
                Drawing(
                    alt=f"How the search of {searched.stage} went on",
                    draw=partial(pictures.history, searched),
                )
                for searched in report.studies
            ),
            notes=(
                "A score is held-out accuracy with weights inherited from the supernet. "
                "Hypervolume: the share of accuracy 0 to 1 x "
                + " x ".join(f"{one.short} 0 to budget" for one in _minimised(report))
                + " that the trials dominate.",
            ),
        )
    if report.latencies:
        yield _latencies(report.latencies)
    if report.findings:
        yield _importance(report)
        yield _findings(report)
    yield _ranking(report)
    if report.published:
        yield _published(report)
    if report.costs:
        yield _costs(report)
    yield _repeat(report)


def _answer(report: Report) -> Section:
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
            f"A network of the same cost whose blocks are all global, a plain ViT, trained the "
            f"same way, is right on {_percent(found.all_global_accuracy)} with "
            f"{found.all_global.macs:,} MACs and {found.all_global.params:,} parameters.",
            f"The winner is {abs(100 * difference.value):.1f} points {better} (95% interval "
            f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
            + ("." if clear else ": that many test images do not tell the two apart."),
            *report.missing,
        ),
        tables=(_tested(found),),
        notes=(
            f"{LEGEND} Score: with inherited weights. Test: read once, after the winner was "
            "chosen on held-out images. Intervals: Wilson for each network, Newcombe for the "
            "difference; they cover the choice of test images, not that of the training seed.",
        ),
    )


def _percent(accuracy: Interval) -> str:
    value, low, high = (100 * one for one in (accuracy.value, accuracy.low, accuracy.high))
    return f"{value:.1f}% (95% interval {low:.1f} to {high:.1f})"


def _tested(found: Answer) -> Table:
    names, costs = _costs_of((found.winner, found.all_global))
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
                _span(accuracy),
                f"{network.accuracy:.4f}",
                _number(network.score),
                *cells,
                f"{network.d}",
            )
            for name, network, accuracy, cells in (
                ("winner", found.winner, found.winner_accuracy, costs[0]),
                ("all-global", found.all_global, found.all_global_accuracy, costs[1]),
            )
        ),
    )


def _network(report: Report) -> Section:
    assert report.picture is not None
    picture = report.picture
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
            "G and L: global groups (self-attention) and local ones (1-D convolution) of a block. "
            "d_k: query and key width if all groups were global. d_z: FFN expansion. E, K: "
            "expansion and kernel of the local groups. Shared: patch embedding and classifier.",
        ),
    )


def _front(report: Report) -> Section:
    tables = []
    text = []
    for searched in report.studies:
        objective = searched.costs.objective
        best = best_by_score(front(searched.records, objective), len(searched.records), objective)
        text.append(
            f"{searched.stage}: {len(best)} of {len(searched.records):,} trials are on the front"
            + (f"; the {SHOWN} of highest score are listed." if len(best) > SHOWN else ".")
        )
        tables.append(_trials(searched.stage, best[:SHOWN]))
    if result := report.status.result:
        text.append(f"{len(result.candidates)} were trained from scratch; the best is the winner.")
        tables.append(_candidates(result.candidates))
    return Section(
        title="Accuracy against cost",
        text=tuple(text),
        drawings=(
            Drawing(
                alt="Held-out accuracy against "
                + " and against ".join(one.short for one in _minimised(report))
                + ", with the Pareto fronts",
                draw=partial(pictures.fronts, report),
            ),
        ),
        tables=tuple(tables),
        notes=(LEGEND,),
    )


def _minimised(report: Report) -> tuple[Measure, ...]:
    return measures(report.plan.search.objective)


def _costs_of(networks: Sequence[Priced]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and each network's cells: milliseconds where there are any."""
    timed = any(network.latency is not None for network in networks)
    columns = ("MACs", *("ms",) * timed, "parameters")
    return columns, [
        (f"{one.macs:,}", *(_number(MEASURES["latency"].of(one)),) * timed, f"{one.params:,}")
        for one in networks
    ]


def _latencies(measured: Measured) -> Section:
    return Section(
        title="How latencies are known",
        text=(f"{measured.words[0].upper()}{measured.words[1:]}.",),
        notes=(
            "A block's latency is that of a network of such blocks, less patch embedding and "
            "classifier, by the number of blocks. All of it in turn, in fp32, before the search; "
            "a trial's latency is a sum from that table.",
        ),
    )


def _trials(stage: str, records: Sequence[Record]) -> Table:
    names, costs = _costs_of(records)
    return Table(
        columns=(f"{stage}, trial", "blocks", "score", *names),
        left=2,
        rows=tuple(
            (
                f"{record.number}",
                drawn(record.arch),
                f"{record.accuracy:.4f}",
                *cells,
            )
            for record, cells in zip(records, costs, strict=True)
        ),
    )


def _candidates(networks: Sequence[TrainedNetwork]) -> Table:
    names, costs = _costs_of(networks)
    return Table(
        columns=("alone", "blocks", "score", "held-out", *names),
        left=2,
        rows=tuple(
            (
                f"{i}",
                drawn(network.arch),
                _number(network.score),
                f"{network.accuracy:.4f}",
                *cells,
            )
            for i, (network, cells) in enumerate(zip(networks, costs, strict=True), 1)
        ),
    )


def _importance(report: Report) -> Section:
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
            "fANOVA: the share of the score's variance that a parameter explains by itself; "
            "PED-ANOVA: how far its values among the best tenth are from all. Dashed: what one "
            "parameter in twenty exceeds when scores are shuffled. b01.K is the kernel of block 1.",
        ),
    )


def _findings(report: Report) -> Section:
    text = []
    for found in report.findings:
        text.append(f"{found.of}: {found.elites} of {found.trials:,} trials.")
        if order := found.order:
            text.append(
                f"Neighbouring blocks turn between mostly local and mostly global "
                f"{order.turns:.1f} times of {order.neighbours} ({order.turns_chance:.1f} by "
                f"chance, p = {order.turns_p:.2f}). {_trend(order)} with depth (Spearman "
                f"{order.trend:+.2f}, p = {order.trend_p:.2f})."
            )
    return Section(
        title="What the best have in common",
        text=tuple(text),
        drawings=(
            Drawing(
                alt="Global groups by block, and shares beside chance",
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
            "Chance: as many random networks within the budget; for kernels, of the same "
            "distributions. The best of one search are relatives: intervals and p take them for "
            "independent and say too much. GLiT-Tiny is the network that the paper (2107.02960) "
            "found on ImageNet.",
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


def _ranking(report: Report) -> Section:
    return Section(
        title="Whether scores can be trusted",
        text=tuple(map(_tau, report.rankings))
        or ("Not measured in this run: hnas rank trains networks alone and compares.",),
        drawings=tuple(
            Drawing(
                alt=f"Scores of stage {found.stage} against accuracy alone",
                draw=partial(ranking, found.title, found.groups, found.epochs),
            )
            for found in report.rankings
        ),
    )


def _tau(found: Ranking) -> str:
    of, tau = found.agreement, found.agreement.tau
    asked = (
        f"Stage {found.stage}: {of.architectures} networks, each trained alone {of.seeds} times "
        f"for {found.epochs} epochs,"
    )
    if math.isnan(tau.value):
        return f"{asked} cannot be ranked: all scores or all accuracies are the same."
    return (
        f"{asked} are ranked by their scores with Kendall's tau {tau.value:.2f} (95% "
        f"interval {tau.low:.2f} to {tau.high:.2f}; 1 is the same order, 0 is chance)."
    )


def _published(report: Report) -> Section:
    return Section(
        title="Among published networks",
        drawings=(
            Drawing(
                alt="The winner among published networks on ImageNet",
                draw=partial(pictures.among_published, report),
            ),
        ),
        tables=(
            Table(
                columns=("network", "top-1", "parameters", "FLOPs", "image"),
                rows=tuple(
                    (n.name, f"{n.top1:.1f}", n.params, n.flops, f"{n.image}")
                    for n in report.published
                ),
            ),
        ),
        notes=(
            "Numbers as published; sources: hnas published. Training recipes differ, and so may "
            "the test images.",
        ),
    )


def _costs(report: Report) -> Section:
    return Section(
        title="What it cost",
        tables=(
            Table(
                columns=("step", "images trained on", "networks scored", "images", "seconds"),
                rows=tuple(
                    (
                        cost.step,
                        f"{cost.trained:,}" if cost.trained else "",
                        f"{cost.scored:,}" if cost.scored else "",
                        f"{cost.images:,}" if cost.images else "",
                        "" if cost.seconds is None else f"{cost.seconds:,.1f}",
                    )
                    for cost in report.costs
                ),
            ),
        ),
        notes=("Each image counts as often as it was used. The time of training is not recorded.",),
    )


def _repeat(report: Report) -> Section:
    return Section(
        title="How to repeat it",
        text=("With this plan as plan.toml, the same versions and the same images:",),
        code=("\n".join(report.commands), report.toml),
        tables=(Table(columns=("made with", ""), left=2, rows=tuple(report.environment.items())),),
        notes=(
            "On a CPU with as many threads the same plan gives the same trials and values; "
            "elsewhere last digits differ.",
        ),
    )


def _span(interval: Interval) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
