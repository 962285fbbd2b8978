"""The parts of a report: sections, tables, drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from hnas.studies.figures.style import svg


@dataclass(frozen=True)
class Table:
    """Rows under headings, already text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    """So many columns are words and stand at the left; numbers stand at the right."""

    @staticmethod
    def of(columns: Mapping[str, Iterable[str]], left: int = 1) -> Table:
        """The table of these columns, by their headings."""
        return Table(tuple(columns), tuple(zip(*columns.values(), strict=True)), left)


@dataclass(frozen=True)
class Drawing:
    """A picture, drawn when it is asked for."""

    alt: str
    """What it shows, in words."""
    draw: Callable[[], Figure]

    @property
    def svg(self) -> str:
        """As an element of a page."""
        return svg(self.draw())


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands under it, in this order."""

    title: str
    text: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    """Small print."""
    code: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report."""

    title: str
    lead: str
    """What run this is, in one line."""
    sections: tuple[Section, ...]
