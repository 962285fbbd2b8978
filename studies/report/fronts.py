"""Fronts of a report: accuracy against cost, and the search on its way there."""

from collections.abc import Sequence
from functools import partial

from hnas.studies.figures.glyphs import drawn, legend
from hnas.studies.report import pictures
from hnas.studies.report.cells import costs_of, number
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.latency import Measured
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.record import Record

SHOWN = 10
"""Most trials of a front that a table lists; the picture and the JSON have all."""


def front_section(report: Report) -> Section:
    """Trials on the front of each study, and the retrained networks."""
    tables, text, archs = [], [], []
    for study in report.studies:
        best = best_by_score(study.front, study.trials, study.costs.objective)
        archs += [record.arch for record in best[:SHOWN]]
        text.append(
            f"{study.stage}: {len(best)} of {study.trials:,} trials are on the front"
            + (f"; the table has the {SHOWN} of highest score." if len(best) > SHOWN else ".")
        )
        if (smooth := study.smoothed) is not None:
            text.append(smooth.words)
        tables.append(_trials(study, best[:SHOWN]))
    if result := report.status.result:
        text.append(
            f"{len(result.candidates)} were trained {result.candidates[0].trained}; the best of "
            "them is the winner."
        )
        tables.append(_candidates(result.candidates))
        archs += [network.arch for network in result.candidates]
    costs = " and against ".join(one.short for one in report.measures)
    alt = f"Held-out accuracy against {costs}, with the Pareto fronts"
    return Section(
        title="Accuracy against cost",
        text=tuple(text),
        drawings=(Drawing(alt, partial(pictures.fronts, report)),),
        tables=tuple(tables),
        notes=(legend(archs),),
    )


def _trials(study: StageStudy, records: Sequence[Record]) -> Table:
    columns = {
        f"{study.stage}, trial": [f"{record.number}" for record in records],
        "blocks": [drawn(record.arch) for record in records],
        "score": [f"{record.accuracy:.4f}" for record in records],
    }
    if (smooth := study.smoothed) is not None:
        found = smooth.of(records).values()
        columns[smooth.name] = [f"{score:.4f} ± {error:.4f}" for score, error in found]
    return Table.of({**columns, **costs_of(records)}, left=2)


def _candidates(networks: Sequence[TrainedNetwork]) -> Table:
    columns = {
        "alone": [f"{i}" for i in range(1, len(networks) + 1)],
        "blocks": [drawn(network.arch) for network in networks],
        "score": [number(network.score) for network in networks],
        "held-out": [f"{network.accuracy:.4f}" for network in networks],
    }
    return Table.of({**columns, **costs_of(networks)}, left=2)


def search_section(report: Report) -> Section:
    """Scores and hypervolume of each study as it went on."""
    dominated = " x ".join(f"{one.short} 0 to budget" for one in report.measures)
    return Section(
        title="The search",
        drawings=tuple(
            Drawing(
                f"Scores and hypervolume of {study.stage}, trial by trial",
                partial(pictures.history, study),
            )
            for study in report.studies
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
            "The time of a network of equal blocks, less that of stem and classifier, "
            "divided by the number of blocks, is the latency of the block. All blocks are measured "
            "in turn, in fp32, before the search. A trial's latency is a sum from that table.",
        ),
    )
