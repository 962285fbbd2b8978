"""Documents: the sections of a report in their order, for HTML and Markdown alike."""

from collections.abc import Iterator

from hnas.studies.report.answer import answer_section, network_section
from hnas.studies.report.classes import class_section
from hnas.studies.report.fronts import front_section, latency_section, search_section
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Document, Section
from hnas.studies.report.repeat import cost_section, repeat_section
from hnas.studies.report.trainings import training_section
from hnas.studies.report.traits import importance_section, traits_section
from hnas.studies.report.trust import published_section, ranking_section


def document(report: Report) -> Document:
    """The document of a report."""
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
    yield answer_section(report)
    if (result := report.status.result) and (classes := class_section(result)):
        yield classes
    if report.picture:
        yield network_section(report.picture)
    if report.studies:
        yield front_section(report)
        yield search_section(report)
    if report.curves:
        yield training_section(report)
    if report.latencies:
        yield latency_section(report.latencies)
    if report.findings:
        yield importance_section(report)
        yield traits_section(report)
    yield ranking_section(report)
    if report.published:
        yield published_section(report)
    if report.costs:
        yield cost_section(report)
    yield repeat_section(report)
