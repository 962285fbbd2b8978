"""Words on a screen: plain where piped, drawn on a terminal, ASCII where nothing else goes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.space import Frame
from hnas.cli.screen.render import (
    about,
    arch_drawing,
    cell,
    front_table,
    legend,
    show_retrained,
    table,
)
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.trials.record import Record

ARCH = Arch(
    (
        Block(G=3, L=0, d_k=48, d_z=4),
        Block(G=1, L=2, d_k=48, d_z=4, E=1, K=17),
        Block(G=0, L=3, d_z=4, E=1, K=17),
    )
)
FRAME = Frame(image=8, channels=1, patch=4, classes=2, d=48, M=3, N=3)


def alone(arch: Arch, score: float | None = None) -> TrainedNetwork:
    """A network that was trained by itself."""
    return TrainedNetwork(
        key="0", frame=FRAME, arch=arch, macs=1, params=1, accuracy=0.5, loss=1.0, epochs=1,
        score=score,
    )  # fmt: skip


def record(number: int, accuracy: float, macs: int) -> Record:
    return Record(
        number=number,
        generation=0,
        arch=ARCH,
        accuracy=accuracy,
        loss=1.0,
        macs=macs,
        params=1000,
        seconds=0.5,
    )


def terminal(monkeypatch: pytest.MonkeyPatch, width: int = 80) -> io.StringIO:
    """What a terminal would be sent from now on, without colours."""
    sent = io.StringIO()
    screen = Console(file=sent, force_terminal=True, color_system=None, width=width, soft_wrap=True)
    monkeypatch.setattr("hnas.cli.screen.render.console", lambda: screen)
    return sent


def test_a_piped_table_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "n", "x"), [("a", 1234567, 0.5), ("long " * 40, 1, None)])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "n", "x"]
    assert first.split() == ["a", "1,234,567", "0.5000"]
    assert second == f"{'long ' * 40}  {'1':>9}"  # neither wrapped nor cut, no blanks at its end


def test_a_table_without_rows_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    table(("a", "b"), [])
    assert capsys.readouterr().out == "a  b\n"


def test_a_table_on_a_terminal_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = terminal(monkeypatch)
    table(("name", "n"), [("[red]a", 1234567)])
    head, rule, row = (line for line in sent.getvalue().splitlines() if line.strip())
    assert head.split() == ["name", "n"]
    assert set(rule.strip()) == {"─"}
    assert row.split() == ["[red]a", "1,234,567"]  # words are no markup


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_no_number_and_no_name_is_cut(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    sent = terminal(monkeypatch, width)
    front_table([record(0, 0.5097, 189_320), record(1, 0.25, 1_234_567_890)], images=100)
    table(("image", "why"), [("a/long/path/to/an-image.jpg", "words that may be wrapped, 0.1234")])
    shown = sent.getvalue()
    assert "…" not in shown
    for value in ("0.5097", "189,320", "0.2500", "1,234,567,890", "an-image.jpg", "0.1234"):
        assert value in shown.replace("\n", "" if value == "an-image.jpg" else " ")
    assert max(map(len, shown.splitlines())) <= width


def test_cells() -> None:
    assert [cell(value) for value in (1234, 0.91234, None, True, False, "x")] == [
        *("1,234", "0.9123", "", "yes", "no", "x")
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [(324**12, "1.34e30"), (198**12, "3.63e27"), (1_994_592, "1.99e6"), (10**502, "1.00e502")],
    ids=["tuples", "distinct", "MACs", "more than a float holds"],
)
def test_about(value: int, words: str) -> None:
    assert about(value) == words


@pytest.mark.parametrize(
    ("encoding", "drawing", "meaning"),
    [
        ("utf-8", "■◧□", "■ global  ◧ mixed  □ local"),
        ("ascii", "Gml", "G global  m mixed  l local"),
    ],
)
def test_a_drawing_has_one_glyph_a_block(
    monkeypatch: pytest.MonkeyPatch, encoding: str, drawing: str, meaning: str
) -> None:
    screen = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    monkeypatch.setattr("hnas.cli.screen.render.console", lambda: screen)
    assert (arch_drawing(ARCH), legend([ARCH])) == (drawing, meaning)
    skipping = Arch((*ARCH.blocks, SKIPPED))
    dot = "." if encoding == "ascii" else "·"
    shown = (arch_drawing(skipping), legend([ARCH, skipping]))
    assert shown == (drawing + dot, f"{meaning}  {dot} skipped")


@pytest.mark.parametrize(
    ("encoding", "drawn"), [("ascii", "GGGGGG   G global"), ("utf-8", "■■■■■■")]
)
def test_the_output_s_encoding_decides_on_the_glyphs(root: Path, encoding: str, drawn: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "hnas.cli.main", "cost", "--arch", "all-global"],
        cwd=root,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert ran.stdout.decode(encoding).startswith(drawn)


def test_a_front_shows_the_best_first_and_the_cheaper_of_equals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    front_table([record(0, 0.5, 10), record(1, 0.9, 3000), record(2, 0.9, 2000)], images=100)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:6] == ["trial", "score", "+-", "ties", "MACs", "params"]
    assert [row.split() for row in rows] == [
        ["2", "0.9000", "0.0300", "=", "2,000", "1,000", arch_drawing(ARCH)],
        ["1", "0.9000", "0.0300", "=", "3,000", "1,000", arch_drawing(ARCH)],
        ["0", "0.5000", "0.0500", "-", "10", "1,000", arch_drawing(ARCH)],
    ]


@pytest.mark.parametrize(
    ("scores", "order"),
    [((0.9, 0.9, 0.8), "best score first"), ((0.8, 0.9, 0.9), "best by search.pick first")],
)
def test_the_order_of_what_was_retrained_is_that_of_scores_or_of_the_pick(
    capsys: pytest.CaptureFixture[str], scores: tuple[float, ...], order: str
) -> None:
    """Picked by smoothed scores, the best may have another order."""
    show_retrained([alone(FRAME.all_global(), score=score) for score in scores])
    assert f"Retrained from scratch for 1 epoch, {order}:" in capsys.readouterr().out


def test_the_winner_is_marked_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    show_retrained([alone(FRAME.all_global()), alone(ARCH)], ARCH)
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("1  ") and second.startswith("2 (winner)")
