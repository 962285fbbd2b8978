"""Words and tables on a screen: rich on a terminal, plain lines in a pipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hnas.architecture.arch import Arch
from hnas.studies.figures.glyphs import GLYPHS, drawn

if TYPE_CHECKING:
    from hnas.studies.run.result import Result, TrainedNetwork
    from hnas.studies.trials.record import Record

ASCII_GLYPHS = {"global": "G", "mixed": "m", "local": "l"}


def console() -> Console:
    """Standard output as it is now (a test may have replaced it)."""
    return Console(highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, optional: str = "") -> None:
    """Prints rows under headings; the `optional` column only if a row has a value for it.

    Commas group the digits of whole numbers, and numbers are aligned right. A piped line is never
    wrapped or cut: two or more spaces separate its columns.
    """
    rows = [tuple(row) for row in rows]
    if optional and all(row[columns.index(optional)] is None for row in rows):
        dropped = columns.index(optional)
        columns = _without(columns, dropped)
        rows = [_without(row, dropped) for row in rows]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    cells = [[cell(value) for value in row] for row in rows]
    screen = console()
    if screen.is_terminal:
        drawn = Table(box=box.SIMPLE_HEAD)
        for name, is_right in zip(columns, right, strict=True):
            drawn.add_column(Text(name), justify="right" if is_right else "left")
        for row in cells:
            drawn.add_row(*map(Text, row))
        screen.print(drawn)
        return
    lines = [list(columns), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        padded = (
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def _without(row: Sequence[Any], dropped: int) -> tuple[Any, ...]:
    return (*row[:dropped], *row[dropped + 1 :])


def milliseconds(nanoseconds: int | None) -> float | None:
    """A latency in the unit of tables."""
    return None if nanoseconds is None else nanoseconds / 1e6


def cell(value: object) -> str:
    """A value in a table: 1,234,567 and 0.9123; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def command(*args: object) -> str:
    """A command of hnas, quoted for a shell."""
    return shlex.join(["hnas", *map(str, args)])


def show_next(*args: object) -> None:
    """Prints the command to run next."""
    print(f"\nnext: {command(*args)}")


def about(value: int) -> str:
    """A large whole number in three digits: 1.34e30."""
    return f"{Decimal(value):.2e}".replace("e+", "e")


def short(value: int) -> str:
    """A whole number in three digits and a unit: 1.66M."""
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def arch_drawing(arch: Arch, *, ascii_only: bool | None = None) -> str:
    """One glyph a block, first to last: ■ global, ◧ mixed, □ local, or G, m, l if the output's
    encoding has no such glyphs."""
    return drawn(arch, _glyphs(ascii_only))


def legend(*, ascii_only: bool | None = None) -> str:
    """The meaning of the glyphs of `arch_drawing`."""
    return "  ".join(f"{glyph} {kind}" for kind, glyph in _glyphs(ascii_only).items())


def _glyphs(ascii_only: bool | None) -> dict[str, str]:
    if ascii_only is None:
        ascii_only = console().options.ascii_only
    return ASCII_GLYPHS if ascii_only else GLYPHS


def front_table(records: Sequence[Record], images: int, objective: str = "flops") -> None:
    """Prints trials, the most accurate first and of equals the cheaper one, with the standard error
    of a score on `images` and an = if the score ties with the best."""
    from hnas.studies.run.result import is_tie, standard_error
    from hnas.studies.trials.pareto import best_by_score

    ranked = best_by_score(records, len(records), objective)
    table(
        ("trial", "score", "+-", "ties", "MACs", "ms", "params", f"blocks ({legend()})"),
        [
            (
                f"{r.number}",
                r.accuracy,
                standard_error(r.accuracy, images),
                "=" if is_tie(r.accuracy, ranked[0].accuracy, images) else "-",
                r.macs,
                milliseconds(r.latency),
                r.params,
                arch_drawing(r.arch),
            )
            for r in ranked
        ],
        optional="ms",
    )


def networks_table(networks: Iterable[tuple[str, TrainedNetwork]]) -> None:
    """Prints networks trained alone, by their names, in the order given."""
    table(
        ("network", "score", "held-out", "MACs", "ms", "params", f"blocks ({legend()})"),
        [
            (
                name,
                n.score,
                n.accuracy,
                n.macs,
                milliseconds(n.latency),
                n.params,
                arch_drawing(n.arch),
            )
            for name, n in networks
        ],
        optional="ms",
    )


def result_tables(result: Result) -> None:
    """Prints the result of a search: the candidates, then the winner and the all-global network."""
    screen = console()
    winner = result.winner
    screen.print("\nRetrained from scratch, best score first:")
    networks_table(
        (f"{i}" + (" (winner)" if candidate.arch == winner.arch else ""), candidate)
        for i, candidate in enumerate(result.candidates, 1)
    )
    screen.print(
        f"\nThe winner compared with an all-global network, on {result.test_images:,} test images:"
    )
    table(
        ("network", "test", "+-", "held-out", "MACs", "ms", "params", "width", "blocks"),
        [
            (
                name,
                network.test_accuracy,
                result.standard_error(network),
                network.accuracy,
                network.macs,
                milliseconds(network.latency),
                network.params,
                network.d,
                arch_drawing(network.arch),
            )
            for name, network in (("winner", winner), ("all-global", result.all_global))
        ],
        optional="ms",
    )
