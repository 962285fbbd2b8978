"""Progress of long work: a bar on a terminal, a line every few seconds in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from hnas.cli.screen.render import console, duration, milliseconds, short
from hnas.studies.search.events import Listener

if TYPE_CHECKING:
    from hnas.studies.run.agenda import Agenda
    from hnas.studies.search.events import TrialEvent
    from hnas.training.loop import Epoch

EVERY = 5.0
"""Seconds between two lines of the same work."""
BAR = 24
"""Columns of a bar; fewer, LEAST at the least, beside long words."""
LEAST = 8
WAITING = "preparing"
"""Name on the bar, which moves, until the first step of the work has ended."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A finished step of some work."""

    what: str
    """The work: "stage 1", "supernet of stage 1"."""
    unit: str
    done: int
    total: int
    words: str
    """Results of the step: loss, scores, speed."""
    each: float
    """Seconds of one step."""
    place: str = ""
    """The place of the work in a search: "step 2 of 5"."""
    whole: float | None = None
    """Seconds until all steps have ended, if that is known and this is not its last step."""

    @property
    def left(self) -> int:
        """Steps to come."""
        return max(self.total - self.done, 0)

    @property
    def title(self) -> str:
        """The work with its place."""
        return f"{self.place}, {self.what}" if self.place else self.what

    @property
    def eta(self) -> str:
        """Time until this work ends, and until all steps have if that is later, in words."""
        own = self.each * self.left
        now, whole = duration(own), duration(max(own, self.whole or 0.0))
        return f"ETA {now}" if whole == now else f"ETA {now}, all steps {whole}"


class Display(Listener, AbstractContextManager["Display"]):
    """Turns the events of a search into words and an ETA; a context around the work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before = clock()
        self._ended = self._before
        self._began: dict[str, tuple[float, int]] = {}
        self._agenda: Agenda | None = None

    def __enter__(self) -> Display:
        self._before = self._ended = self._clock()
        self._began = {}
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the screen to other words, between two pieces of work."""
        self.__exit__(None, None, None)
        yield
        self.__enter__()

    def draw(self, step: Step) -> None:
        raise NotImplementedError

    def planned(self, agenda: Agenda) -> None:
        self._agenda, self._before = agenda, self._clock()
        self._ended = self._before

    def note(self, text: str) -> None:
        self.print(f"note: {text}")

    def print(self, text: str) -> None:
        """Prints a line, also while a bar is shown."""
        click.echo(text)

    def measured(self, done: int, rounds: int) -> None:
        self._tell("latencies", "round", done, rounds, lambda each: "every block once")

    def epoch(self, what: str, epoch: Epoch) -> None:
        words = f"loss {epoch.loss:.3f}, {epoch.images_per_second:,.0f} images/s"
        if epoch.plain is not None:
            words += f", held-out {epoch.plain.accuracy:.4f}"
        self._tell(what, "epoch", epoch.epoch, epoch.epochs, lambda each: words)

    def trial(self, stage: int, event: TrialEvent) -> None:
        words = (
            f"best {event.best.accuracy:.4f} ({short(event.best.macs)} MACs{_time(event)}), "
            f"generation {event.record.generation}, hypervolume {event.hypervolume:.4f}"
        )

        def with_speed(each: float) -> str:
            return f"{words}, {1 / max(each, 1e-9):.1f} trials/s"

        self._tell(f"stage {stage}", "trial", event.done, event.trials, with_speed)

    def _tell(
        self, what: str, unit: str, done: int, total: int, words: Callable[[float], str]
    ) -> None:
        """Draws a step; `words` get the seconds of one."""
        seconds = self._clock() - self._before
        each, place, whole = self._seconds_each(what, done, total), "", None
        if self._agenda is not None:
            place = self._agenda.place(what)
            self._agenda = self._agenda.after(what, done=done, total=total, seconds=seconds)
            goes_on = place and what != self._agenda.steps[-1].name
            whole = self._agenda.seconds_left() if goes_on else None
        self.draw(
            Step(
                what=what,
                unit=unit,
                done=done,
                total=total,
                words=words(each),
                each=each,
                place=place,
                whole=whole,
            )
        )

    def _seconds_each(self, what: str, done: int, total: int) -> float:
        """Mean time of a step since the first; for the first, the time since the work before. Of
        networks that are trained together each begins when another has ended, not when another's
        epoch has."""
        now = self._clock()
        beside = self._agenda is not None and self._agenda.beside_others(what)
        at, steps = self._began.get(what, (self._ended if beside else self._before, done - 1))
        self._began.setdefault(what, (now, done))
        self._before = now
        if done >= total or not beside:
            self._ended = now
        return (now - at) / max(done - steps, 1)


class Lines(Display):
    """Plain lines: the first and the last step of each work, and one every EVERY seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._shown: dict[str, float] = {}

    def draw(self, step: Step) -> None:
        now = self._clock()
        if step.left and now - self._shown.get(step.what, -EVERY) < EVERY:
            return
        self._shown[step.what] = now
        self.print(line(step))


class Bars(Display):
    """A bar for running work, with its words below; a plain line for finished work."""

    def __enter__(self) -> Display:
        super().__enter__()
        self._progress = _Progress(
            TextColumn("{task.description}"),
            BarColumn(BAR),
            TextColumn("{task.fields[rest]}"),
            console=console(),
            transient=True,
        )
        self._what = WAITING
        self._task = self._progress.add_task(WAITING, total=None, rest="")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def draw(self, step: Step) -> None:
        if step.left:
            self._bar(step.title, step.total)
            self._progress.words = step.words
            rest = f"{step.unit} {step.done}/{step.total}, {step.eta}"
            self._progress.update(self._task, completed=step.done, rest=rest)
        else:
            self._progress.words = ""
            self._bar(WAITING, None)
            self.print(line(step))

    def _bar(self, what: str, total: int | None) -> None:
        """Replaces the bar by one for this work, unless it is that."""
        if what != self._what:
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task(what, total=total, rest="")
            self._what = what

    def print(self, text: str) -> None:
        self._progress.console.print(text, markup=False)


class _Progress(Progress):
    """A bar with a line of words below it; what is too wide for the terminal is left out whole."""

    words = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            width, rest = self.console.width, task.fields["rest"]
            room = width - len(task.description) - len(rest) - 2
            if room >= LEAST:
                bar = next(one for one in self.columns if isinstance(one, BarColumn))
                bar.bar_width = min(BAR, room)
                yield self.make_tasks_table([task])
            else:
                yield Text(_within(width, task.description))
                yield Text(_within(width, rest))
        if self.words:
            yield Text(_within(self.console.width, f"  {self.words}"))


def _within(width: int, words: str) -> str:
    """The first of the parts between commas that fit: a number that is cut is another number."""
    while len(words) > width and ", " in words:
        words = words.rpartition(", ")[0]
    return words


def _time(event: TrialEvent) -> str:
    latency = milliseconds(event.best.latency)
    return "" if latency is None else f", {latency:.3g} ms"


def display() -> Display:
    """Bars if standard output is a terminal, else lines."""
    screen = console()
    return Bars() if screen.is_terminal and not screen.is_dumb_terminal else Lines()


def line(step: Step) -> str:
    """A step in one line."""
    eta = f", {step.eta}" if step.left else ""
    return f"{step.title}: {step.unit} {step.done}/{step.total}, {step.words}{eta}"
