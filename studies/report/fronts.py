"""Fronts of a report: accuracy against cost, and the search on its way there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hnas.studies.figures.glyphs import LEGEND, drawn
from hnas.studies.report import pictures
from hnas.studies.report.cells import costs_of, number
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.latency import Measured
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.trials.pareto import best_by_score, front
from hnas.studies.trials.record import Record

SHOWN = 10
"""Most trials of a front that a table lists; the picture and the JSON have all."""


def front_section(report: Report) -> Section:
    """Trials on the front of each study, and the retrained networks."""
    tables = []
    text = []
    for searched in report.studies:
        objective = searched.costs.objective
        best = best_by_score(front(searched.records, objective), len(searched.records), objective)
        text.append(
            f"{searched.stage}: {len(best)} of {len(searched.records):,} trials are on the front"
            + (f"; the table has the {SHOWN} of highest score." if len(best) > SHOWN else ".")
        )
        tables.append(_trials(searched.stage, best[:SHOWN]))
    if result := report.status.result:
        text.append(
            f"{len(result.candidates)} were trained from scratch; the best of them is the winner."
        )
        tables.append(_candidates(result.candidates))
    return Section(
        title="Accuracy against cost",
        text=tuple(text),
        drawings=(
            Drawing(
                alt="Held-out accuracy against "
                + " and against ".join(one.short for one in report.measures)
                + ", with the Pareto fronts",
                draw=partial(pictures.fronts, report),
            ),
        ),
        tables=tuple(tables),
        notes=(LEGEND,),
    )


def _trials(stage: str, records: Sequence[Record]) -> Table:
    names, costs = costs_of(records)
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
    names, costs = costs_of(networks)
    return Table(
        columns=("alone", "blocks", "score", "held-out", *names),
        left=2,
        rows=tuple(
            (
                f"{i}",
                drawn(network.arch),
                number(network.score),
                f"{network.accuracy:.4f}",
                *cells,
            )
            for i, (network, cells) in enumerate(zip(networks, costs, strict=True), 1)
        ),
    )


def search_section(report: Report) -> Section:
    """Scores and hypervolume of each study as it went on."""
    dominated = " x ".join(f"{one.short} 0 to budget" for one in report.measures)
    return Section(
        title="The search",
        drawings=tuple(
            Drawing(
                alt=f"Scores and hypervolume of {searched.stage}, trial by trial",
                draw=partial(pictures.history, searched),
            )
            for searched in report.studies
        ),
        notes=(
            "A score is held-out accuracy with weights inherited from the supernet. Hypervolume is "
            f"the share of accuracy 0 to 1 x {dominated} that the trials dominate.",
        ),
    )


def latency_section(measured: Measured) -> Section:
    """The latency table: its machine and its error."""
    return Section(
        title="How latencies are measured",
        text=(f"{measured.words[0].upper()}{measured.words[1:]}.",),
        notes=(
            "The time of a network of equal blocks, less that of patch embedding and classifier, "
            "divided by the number of blocks, is the latency of the block. All blocks are measured "
            "in turn, in fp32, before the search. A trial's latency is a sum from that table.",
        ),
    )
