"""What a search tells, in words: when a line is printed, and what its ETA is."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from hnas.architecture.arch import Arch, Block
from hnas.cli.screen.progress import Bars, Display, Lines, display
from hnas.cli.screen.progress import Step as Shown
from hnas.cli.screen.render import duration
from hnas.studies.run.agenda import Agenda, Step
from hnas.studies.search.events import TrialEvent
from hnas.studies.trials.record import Record
from hnas.training.loop import Epoch


class Clock:
    """Seconds that only pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def epoch(done: int, epochs: int = 100) -> Epoch:
    return Epoch(epoch=done, epochs=epochs, loss=0.5, images_per_second=1234.5, lr=0.1)


def trial(done: int) -> TrialEvent:
    arch = Arch((Block(G=3, L=0, d_k=48, d_z=4),))
    best = Record(
        number=done - 1,
        generation=3,
        arch=arch,
        accuracy=0.5,
        loss=1.0,
        macs=1_655_408,
        params=1,
        seconds=0.1,
    )
    return TrialEvent(record=best, best=best, hypervolume=0.25, done=done, trials=200)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_lines_are_the_first_the_last_and_one_every_five_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Lines(clock) as display:
        for done in range(1, 101):
            clock.now += 1
            display.epoch("supernet of stage 1", epoch(done))
    lines = told(capsys)
    assert lines[0] == ("supernet of stage 1: epoch 1/100, loss 0.500, 1,234 images/s, ETA 1:39")
    assert lines[1].endswith(" epoch 6/100, loss 0.500, 1,234 images/s, ETA 1:34")
    assert lines[-1] == "supernet of stage 1: epoch 100/100, loss 0.500, 1,234 images/s"
    assert [int(line.split()[5].split("/")[0]) for line in lines] == [*range(1, 100, 5), 100]


def test_the_speed_is_that_of_this_process_not_of_what_was_done_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    display = Lines(clock)
    clock.now += 1000  # whatever was before
    with display:
        for done in (101, 121):
            clock.now += 10
            display.trial(1, trial(done))
    first, second = told(capsys)
    assert first.endswith("0.1 trials/s, ETA 16:30")
    assert second == (
        "stage 1: trial 121/200, best 0.5000 (1.66M MACs), generation 3, hypervolume 0.2500, "
        "2.0 trials/s, ETA 0:40"
    )


def test_a_search_says_which_step_of_it_this_is_and_when_all_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    display = Lines(clock)
    steps = (
        Step(name="supernet of stage 1", amount=2, work=10.0),
        Step(name="stage 1", amount=200, work=1.0, scores=True),
    )
    clock.now += 1000  # reading the images
    display.planned(Agenda(steps=steps))
    for done in (1, 2):
        clock.now += 5
        display.epoch("supernet of stage 1", epoch(done, 2))
    clock.now += 1
    display.trial(1, trial(1))
    lines = told(capsys)
    first, last, scored = lines
    assert first.startswith("step 1 of 2, supernet of stage 1: epoch 1/2, ")
    assert first.endswith(", ETA 0:05, all steps 1:45")
    assert last.startswith("step 1 of 2, ") and "ETA" not in last
    assert scored.startswith("step 2 of 2, stage 1: trial 1/200, ")
    assert scored.endswith(", 1.0 trials/s, ETA 3:19")


def test_networks_that_are_trained_together_begin_when_another_has_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two at a time, an epoch in ten seconds: the second's first epoch is heard of just after the
    first's, and took as long."""
    clock = Clock()
    display = Lines(clock)
    steps = (
        Step(name="supernet of stage 1", amount=1, work=1.0),
        Step(name="networks alone", amount=6, work=1.0),
    )
    display.planned(Agenda(steps=steps, together=2))
    display.epoch("supernet of stage 1", epoch(1, 1))
    for names in (("a", "b"), ("c",)):
        for done in (1, 2):
            clock.now += 9.9
            for name in names:
                clock.now += 0.1
                display.epoch(f"network of {name}", epoch(done, 2))
    firsts = [line for line in told(capsys) if "epoch 1/2" in line]
    assert [line.split("ETA ")[1].split(",")[0] for line in firsts] == ["0:10"] * 3


@pytest.mark.parametrize(
    ("whole", "eta"), [(None, "ETA 0:45"), (3.0, "ETA 0:45"), (60.0, "ETA 0:45, all steps 1:00")]
)
def test_all_steps_never_end_before_this_one(whole: float | None, eta: str) -> None:
    """The one goes by this work alone, the other by all work so far."""
    shown = Shown(
        what="w",
        unit="epoch",
        done=1,
        total=10,
        words="",
        each=5.0,
        place="step 5 of 5",
        whole=whole,
    )
    assert shown.eta == eta


def test_each_work_has_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    display = Lines(Clock())
    display.epoch("network of trial 4", epoch(1))
    display.epoch("network of trial 5", epoch(1))
    display.note("a sentence")
    assert [line.split(":")[0] for line in told(capsys)] == [
        "network of trial 4",
        "network of trial 5",
        "note",
    ]


@pytest.fixture
def width() -> int:
    return 80


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, width: int) -> io.StringIO:
    """What a terminal of so many columns is sent."""
    sent = io.StringIO()
    terminal = Console(
        file=sent, force_terminal=True, color_system=None, width=width, soft_wrap=True
    )
    monkeypatch.setattr("hnas.cli.screen.progress.console", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    return sent


def test_bars_show_what_goes_on_and_leave_what_has_ended(screen: io.StringIO) -> None:
    clock = Clock()
    with Bars(clock) as display:
        clock.now += 2
        display.epoch("supernet of stage 1", epoch(1, 2))
        display._progress.refresh()  # type: ignore[attr-defined]
        shown = screen.getvalue()
        assert "epoch 1/2, ETA 0:02" in shown
        assert "\n  loss 0.500, 1,234 images/s" in shown
        clock.now += 2
        display.epoch("supernet of stage 1", epoch(2, 2))
        display.note("[red]words are no markup")
        display.trial(1, trial(7))
        display._progress.refresh()  # type: ignore[attr-defined]
    sent = screen.getvalue()
    assert "supernet of stage 1: epoch 2/2, loss 0.500, 1,234 images/s\n" in sent
    assert "note: [red]words are no markup\n" in sent
    assert "trial 7/200, ETA " in sent
    assert "\n  best 0.5000 (1.66M MACs), generation 3, hypervolume 0.2500\n" in sent


def test_beside_long_words_a_bar_is_shorter(screen: io.StringIO) -> None:
    with Bars(Clock()) as display:
        for name in ("the winner, on all images", "trial 1"):
            display.epoch(f"network of {name}", epoch(1))
            display._progress.refresh()  # type: ignore[attr-defined]
    shown = re.findall(r"network of ([\w, ]+?) ( {3,}) epoch 1/100", screen.getvalue())  # no colour
    assert {name: len(bar) for name, bar in shown} == {
        "the winner, on all images": 21,
        "trial 1": 24,
    }


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_is_sent_whole_numbers_or_none(screen: io.StringIO, width: int) -> None:
    whole = {"0", "1", "1/100", "0.500", "1,234", "7/200", "0.5000", "1.66M", "3", "0.2500"}
    with Bars(Clock()) as display:
        for _ in range(3):
            display.epoch("supernet of stage 1", epoch(1))
            display.trial(1, trial(7))
            display._progress.refresh()  # type: ignore[attr-defined]
    lines = re.sub(r"\x1b\[[?\d]*\w|\r", "\n", screen.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert "trial 7/200" in "".join(lines)
    assert "…" not in screen.getvalue()
    found = {word for line in lines for word in re.findall(r"\d[\d,./:]*\w?", line)}
    assert {word.rstrip(",") for word in found} <= whole | {"1,234", "0:00"}


def test_bars_end_with_the_work_whatever_ended_it(screen: io.StringIO) -> None:
    with pytest.raises(KeyboardInterrupt), Bars(Clock()) as display:
        display.epoch("supernet of stage 1", epoch(1))
        raise KeyboardInterrupt
    hidden, back = (screen.getvalue().rfind(f"\x1b[?25{end}") for end in "lh")
    assert 0 <= hidden < back  # the cursor


@pytest.mark.parametrize(("term", "kind"), [("xterm", Bars), ("dumb", Lines)])
def test_a_terminal_gets_bars(
    monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, term: str, kind: type[Display]
) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(display()) is kind


def test_a_pipe_gets_lines() -> None:
    assert type(display()) is Lines


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3599.9, "1:00:00"), (100_000, "27:46:40")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
