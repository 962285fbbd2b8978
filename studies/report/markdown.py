"""A report as Markdown: the words and tables of the page, for a terminal, an issue or a diff."""

import re
from collections.abc import Iterator, Sequence

from hnas.persist.ours import MARK
from hnas.studies.report.document import document
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Section, Table


def as_markdown(report: Report) -> str:
    """The text; pictures are named by what they show."""
    page = document(report)
    lines = [f"# {_escaped(page.title)}", _escaped(page.lead)]
    for section in page.sections:
        lines += _section(section)
    return "\n\n".join([*lines, f"<!-- {MARK.decode()} -->"]) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {_escaped(section.title)}"
    yield from map(_escaped, section.text)
    yield from map(_table, section.tables)
    for text in section.code:
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
        yield f"{fence}\n{text}\n{fence}"
    yield from (f"*{_escaped(note)}*" for note in section.notes)


def _table(table: Table) -> str:
    rule = [":--" if i < table.left else "--:" for i in range(len(table.columns))]
    return "\n".join(map(_row, (tuple(map(_escaped, table.columns)), rule, *_cells(table))))


def _cells(table: Table) -> Iterator[tuple[str, ...]]:
    for row in table.rows:
        yield tuple(map(_escaped, row))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """What would be markup is a character."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
