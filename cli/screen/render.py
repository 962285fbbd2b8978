"""Words and tables on a screen: rich on a terminal, plain lines in a pipe."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hnas.architecture.arch import GLYPHS, Arch
from hnas.settings import METRICS
from hnas.studies.figures.glyphs import drawn, kinds

if TYPE_CHECKING:
    from hnas.baselines.record import Baseline
    from hnas.studies.objective.costs import Priced
    from hnas.studies.run.result import Result, TrainedNetwork
    from hnas.studies.trials.record import Record
    from hnas.studies.trials.smoothing import Smoothed

ASCII_GLYPHS = {"global": "G", "mixed": "m", "local": "l", "skipped": "."}
COSTS = ("MACs", "ms", "params")


def console() -> Console:
    """Standard output as it is now (a test may have replaced it)."""
    return Console(highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, optional: str = "") -> None:
    """Prints rows under headings; the `optional` column only if a row has a value for it.

    Commas group the digits of whole numbers, and numbers are aligned right. A piped line is never
    wrapped or cut: two or more spaces separate its columns. A terminal too narrow for the table
    gets a line for each value.
    """
    rows = list(rows)
    shown = [
        i
        for i, name in enumerate(columns)
        if name != optional or any(row[i] is not None for row in rows)
    ]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in shown]
    head = [columns[i] for i in shown]
    cells = [[cell(row[i]) for i in shown] for row in rows]
    screen = console()
    if screen.is_terminal:
        _draw(screen, head, cells, right)
        return
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    for line in (head, *cells):
        padded = (
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())


def _draw(
    screen: Console, head: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    """A table for a terminal. Words may be wrapped, but no number or name is cut: a part of it
    would be another one."""
    drawn = Table(box=box.SIMPLE_HEAD)
    for name, is_right in zip(head, right, strict=True):
        drawn.add_column(Text(name), justify="right" if is_right else "left", overflow="fold")
    for line in cells:
        drawn.add_row(*map(Text, line))
    unlimited = screen.options.update(max_width=10**6)
    if screen.measure(drawn, options=unlimited).minimum <= screen.width:
        screen.print(drawn)
        return
    for line in cells:
        screen.print()
        for name, text in zip(head, line, strict=True):
            if text:
                said = Text(f"{name}: {text}" if name else text, overflow="fold")
                screen.print(said, soft_wrap=False)


def wrapped(text: str, *, indent: str = "") -> str:
    """Prose in lines of at most 100 columns, or a terminal's; no word is cut, and lines after the
    first are indented once more."""
    return textwrap.fill(
        text,
        width=min(100, console().width),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


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


def duration(seconds: float) -> str:
    """0:07, 12:34 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def command(*args: object) -> str:
    """A command of hnas, quoted for a shell."""
    return shlex.join(["hnas", *map(str, args)])


def note(text: str) -> None:
    """Prints what a person should know."""
    console().print(f"note: {text}", markup=False)


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


def arch_drawing(arch: Arch) -> str:
    """One glyph a block, first to last: ■ global, ◧ mixed, □ local, · skipped, or G, m, l and a dot
    if the output's encoding has no such glyphs."""
    return drawn(arch, _glyphs())


def legend(archs: Iterable[Arch]) -> str:
    """The meaning of the glyphs of `arch_drawing` of some networks."""
    glyphs = _glyphs()
    return "  ".join(f"{glyphs[kind]} {kind}" for kind in kinds(archs))


def _glyphs() -> dict[str, str]:
    return ASCII_GLYPHS if console().options.ascii_only else GLYPHS


def costs(found: Priced) -> tuple[int, float | None, int]:
    """The values of the columns COSTS."""
    return found.macs, milliseconds(found.latency), found.params


def front_table(
    records: Sequence[Record],
    images: int,
    objective: str = "flops",
    metric: str = "accuracy",
    smooth: Smoothed | None = None,
) -> None:
    """Prints trials, the most accurate first and of equals the cheaper one, with the standard error
    of a score on `images` and an = if the score ties with the best; and their smoothed scores
    with standard errors, if there are any."""
    from hnas.studies.run.ties import standard_error, tied
    from hnas.studies.trials.pareto import best_by_score

    ranked = best_by_score(records, len(records), objective)
    score = "score" if metric == "accuracy" else METRICS.get(metric, metric)
    more = (smooth.name, "+-") if smooth else ()
    smoothed = smooth.of(records) if smooth else {}
    table(
        ("trial", score, "+-", "ties", *more, *COSTS, f"blocks ({legend(r.arch for r in ranked)})"),
        [
            (
                f"{r.number}",
                r.accuracy,
                standard_error(r.accuracy, images, r.error),
                "=" if tied(r, ranked[0], images) else "-",
                *(smoothed[r.number] if smooth else ()),
                *costs(r),
                arch_drawing(r.arch),
            )
            for r in ranked
        ],
        optional="ms",
    )


def show_retrained(networks: Sequence[TrainedNetwork], winner: Arch | None = None) -> None:
    """Prints networks trained alone, in the order given: the search's best first."""
    how = "".join(f" {network.trained}" for network in networks[:1])
    scores = [network.score or 0.0 for network in networks]
    by_score = scores == sorted(scores, reverse=True)
    order = "best score first" if by_score else "best by search.pick first"
    print(f"\nRetrained{how}, {order}:")
    rows = []
    for i, n in enumerate(networks, 1):
        name = f"{i}" + " (winner)" * (n.arch == winner)
        rows.append((name, n.score, n.accuracy, *costs(n), arch_drawing(n.arch)))
    columns = (
        "network",
        "score",
        "held-out",
        *COSTS,
        f"blocks ({legend(n.arch for n in networks)})",
    )
    table(columns, rows, optional="ms")


def result_tables(result: Result) -> None:
    """Prints the result of a search: the candidates, then the winner and the all-global network,
    then simple models."""
    from hnas.studies.run.remarks import lesson, trained, unequal

    show_retrained(result.candidates, result.winner.arch)
    on = f"on {result.test_images:,} test images"
    print(f"\nThe winner compared with an all-global network, {on}:")
    rows = []
    for name, n in (("winner", result.winner), ("all-global", result.all_global)):
        measured = (n.test_accuracy, result.standard_error(n), n.accuracy)
        rows.append((name, *measured, *costs(n), n.d, arch_drawing(n.arch)))
    columns = ("network", "test", "+-", "held-out", *COSTS, "width", "blocks")
    table(columns, rows, optional="ms")
    if result.metric != "accuracy":
        print(f"Every score, held-out and test is {METRICS.get(result.metric, result.metric)}.")
    if result.winner.picked or result.winner.trained != result.all_global.trained:
        print(trained(result.winner, result.all_global))
    for words in (lesson(result), unequal(result.winner, result.all_global), result.pairs()):
        if words:
            print(words)
    if result.baselines:
        print("\nSimple models on the same images:")
        baselines_table(result.baselines, result.test_images)
    if verdict := result.verdict():
        print(f"\n{verdict}")


def baselines_table(baselines: Iterable[Baseline], test_images: int) -> None:
    """Prints simple models with the standard error of an accuracy on so many test images."""
    from hnas.studies.run.ties import standard_error

    rows = []
    for b in baselines:
        error = standard_error(b.test_accuracy, test_images, b.test_error)
        rows.append((b.name, b.test_accuracy, error, b.accuracy, b.setting, b.images))
    table(("model", "test", "+-", "held-out", "chosen", "fitted to images"), rows)
