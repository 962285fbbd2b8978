"""hnas from Python, as from the command line: search, resume, look, take away.

    import hnas

    found = hnas.search(preset="digits", run="runs/digits")  # as `hnas search`; resumes the run
    found = hnas.open_run("runs/digits")                     # what is there; nothing is computed
    found.result.winner.test_accuracy
    found.front(1)                                           # trials, as records
    found.study(1)                                           # an optuna.Study
    network = found.network()                                # the winner, trained: a hnas Network
    found.predict("photo.png")                               # as `hnas predict`
    found.export("digits_net")                               # as `hnas export`
    found.report()                                           # as `hnas report`

Errors are those of `hnas.errors`; they name Python's arguments. In a notebook a `Found` shows
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from hnas.studies.dashboard.listener import Annotator
from hnas.studies.objective.costs import Priced
from hnas.studies.plan.budget import keyword
from hnas.studies.plan.change import Changes, check_code
from hnas.studies.plan.plan import Plan
from hnas.studies.request.begin import beginning
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.request.spelling import for_python
from hnas.studies.run import folder as runs
from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result, read_result
from hnas.studies.run.status import Status, read_status
from hnas.studies.run.studies import StageStudy, read_stages
from hnas.studies.search.events import Listener, Listeners, Stop, TrialEvent
from hnas.studies.search.trackers import tracker
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study

if TYPE_CHECKING:
    import optuna

    from hnas.cost.latency import Latency
    from hnas.exchange.export import Network
    from hnas.studies.run.ranking import Ranking
    from hnas.training.loop import Epoch


@dataclass(frozen=True)
class Found:
    """A run as it stands, read again at every question: a search may be running."""

    run: Run

    @property
    def plan(self) -> Plan:
        return self.run.plan

    @property
    @for_python
    def status(self) -> Status:
        """Stages, trials, epochs, networks; as `hnas status` shows."""
        return read_status(self.run)

    @property
    @for_python
    def result(self) -> Result | None:
        """The winner and the all-global network, tested; None before the end."""
        return read_result(self.run)

    def trials(self, stage: int) -> tuple[Record, ...]:
        """The scored architectures of a stage (counted from 1), by number."""
        return self._stage(stage).records

    def front(self, stage: int) -> tuple[Record, ...]:
        """Those that no other dominates, by rising costs."""
        return self._stage(stage).front

    @for_python
    def _stage(self, stage: int) -> StageStudy:
        """Raises InputError if the strategy has no such stage, StorageError."""
        self.run.stage(stage)
        return read_stages(self.run)[stage - 1]

    @for_python
    def study(self, stage: int) -> optuna.Study:
        """A stage's study, for Optuna's own tools. Raises StorageError if there is none yet."""
        name = self.run.study_name(stage)
        return open_study(open_storage(self.run.storage), name)

    @for_python
    def network(self, device: str = "auto") -> Network:
        """The winner, trained, and what its images must look like; read from the run's folder.

        Raises StateError if the search is not finished, or the network's files are missing.
        """
        from hnas.device import choose
        from hnas.studies.run.networks import winner

        network = winner(self.run)
        network.model.to(choose(device))
        return network

    @for_python
    def export(
        self, path: str | Path, device: str = "auto", *, force: bool = False
    ) -> tuple[Path, ...]:
        """Writes the winner as PATH.safetensors, PATH.json and PATH.py, which needs no hnas.

        Raises InputError if another network's files, or files of others, are there without `force`.
        """
        from hnas.exchange.export import save

        return save(self.network(device), Path(path), also=("py",), force=force)

    @for_python
    def predict(self, images: Any, device: str = "auto") -> list[tuple[str, float]]:
        """The likeliest class of each image with its probability, by the winner.

        `images` are the path of a file or a folder, several of them, or an array of numpy or torch,
        (n, height, width), (n, channels, height, width) or channels last, as `search` takes them.
        Raises InputError for what is no image, StateError as `network` does.
        """
        from hnas.data.sources.arrays import fitting
        from hnas.data.sources.folders import files_at
        from hnas.exchange.predict import likeliest, of_files, probabilities

        network = self.network(device)
        paths = [images] if isinstance(images, str | Path) else images
        if isinstance(paths, list | tuple) and all(isinstance(one, str | Path) for one in paths):
            files = [file for path in paths for file in files_at(Path(path), network.classes)]
            rows = [row for _, row in of_files(network, files, _refuse)]
        else:
            pixels = fitting(images, network.size)
            rows = [row for batch in pixels.split(BATCH) for row in probabilities(network, batch)]
        return [likeliest(row, network.classes, 1)[0] for row in rows]

    @for_python
    def report(self, to: str | Path | None = None, *, force: bool = False) -> Path:
        """Writes a report, as `hnas report`: to report.html in the run's folder, or to a file that
        ends in .html, .md or .json. Gives its path. Raises InputError for another ending, or if a
        file that is no report is there without `force`."""
        from hnas.studies.report.write import write_report

        return write_report(self.run, None if to is None else Path(to), force=force)

    @for_python
    def latency(
        self, device: str = "auto", *, batch: int = 1, rounds: int = 50
    ) -> dict[str, Latency]:
        """Seconds of a pass of `winner` and `all-global` here, run in turn. Raises StateError as
        `network` does."""
        from hnas.device import choose
        from hnas.studies.run.speed import speeds

        return speeds(self.run, choose(device), batch=batch, rounds=rounds)

    @for_python
    def rank(
        self,
        stage: int = 1,
        *,
        architectures: int = 30,
        seeds: int = 4,
        epochs: int | None = None,
        listener: Listener | None = None,
        device: str = "auto",
        allow_code: bool = False,
    ) -> Ranking:
        """How far a stage's scores can be trusted, as `hnas rank`: it trains `architectures` x
        `seeds` networks. Finished trainings are kept. Raises InputError if the run's plan names
        code to run (`module:function`), unless `allow_code`."""
        from hnas.device import choose
        from hnas.studies.experiments.rank import RankRules, rank
        from hnas.studies.search.session import Session

        if not allow_code:
            allow = keyword("allow_code", True)
            check_code(self.plan, f"the run {self.run.folder}", allow=allow)
        rules = RankRules(stage=stage, architectures=architectures, seeds=seeds, epochs=epochs)
        session = Session(self.run, choose(device), listener)
        with self.run.hold(), closing(session):
            return rank(session, rules)

    def __repr__(self) -> str:
        status = self.status
        rows = "; ".join(f"{name} {score} at {macs} MACs" for name, score, macs, _ in _rows(status))
        state = "finished" if status.finished else "not finished"
        return f"Found({self.run.folder}, {state}{': ' if rows else ''}{rows})"

    def _repr_html_(self) -> str:
        """For notebooks: a table of the best, and the network drawn."""
        from hnas.studies.figures.network import network
        from hnas.studies.figures.style import svg
        from hnas.studies.report.gather import picture_of

        status = self.status
        head = "".join(f"<th>{name}</th>" for name in ("", "accuracy", "MACs", "parameters"))
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in _rows(status)
        )
        picture = picture_of(self.plan, status)
        drawn = f"<p>{escape(picture.title)}</p>{svg(network(picture))}" if picture else ""
        return f"<b>{escape(str(self.run.folder))}</b><table><tr>{head}</tr>{rows}</table>{drawn}"


def _rows(status: Status) -> list[tuple[str, str, str, str]]:
    """(what, accuracy, MACs, parameters): the tested ones, or each stage's best so far."""
    found: list[tuple[str, str, Priced]] = []
    if (result := status.result) is not None:
        for name, one in (("winner", result.winner), ("all-global", result.all_global)):
            found.append((name, f"{one.test_accuracy:.4f} (test)", one))
    else:
        for stage in status.stages:
            if (best := stage.best) is not None:
                name = f"stage {stage.number}, best of {stage.trials:,} trials"
                found.append((name, f"{best.accuracy:.4f} (score)", best))
    return [(name, score, f"{n.macs:,}", f"{n.params:,}") for name, score, n in found]


@for_python
def open_run(folder: str | Path, *, storage: str | None = None) -> Found:
    """A run that has begun. Raises InputError if there is none."""
    return Found(runs.open_run(Path(folder), storage=storage))


class Asked(Changes, total=False):
    """The keywords of `search`: `hnas.studies.request.request.Request` says what each means."""

    run: str | Path | None
    preset: str | None
    plan: Plan | str | Path | None
    stage: int | None
    refine: bool
    time: str | None
    set: Mapping[str, object] | Sequence[str]
    rescore: bool
    workers: bool
    lease: float
    allow_code: bool
    device: str
    log: str | None
    storage: str | None


Callback = Callable[[Found, "TrialEvent | Epoch"], object]
"""Called after each epoch and trial of a search."""
BATCH = 256
"""Images of an array that are predicted at a time."""


def _refuse(error: Exception) -> None:
    raise error


class _Callbacks(Listener):
    """Calls functions of the user's own."""

    def __init__(self, found: Found, callbacks: Sequence[Callback]) -> None:
        self._found, self._callbacks = found, callbacks

    def epoch(self, what: str, epoch: Epoch) -> None:
        self._call(epoch)

    def trial(self, stage: int, event: TrialEvent) -> None:
        self._call(event)

    def _call(self, event: TrialEvent | Epoch) -> None:
        for callback in self._callbacks:
            callback(self._found, event)


@for_python
def search(
    *,
    listener: Listener | None = None,
    callbacks: Sequence[Callback] = (),
    **asked: Unpack[Asked],
) -> Found:
    """Searches for an architecture, or resumes a run: all stages, retraining, the test.

    The keywords are the options of `hnas search`. One of `preset`, `plan` (a Plan or a file) and
    `data` (a name, or the images: `hnas.data.sources.given`) says what is searched. With `data`
    alone a plan is proposed (`hnas.studies.plan.proposal`); with none of them it is the plan of the
    run in `run`, or the preset `digits`. The others replace what the plan says. `listener` hears
    what happens; each of `callbacks` is called with the run and an epoch or a trial that has ended.
    Either may raise `Stop`, which ends the search; called again, it goes on.

    Raises InputError for what cannot be searched, MismatchError if the run has begun with another
    plan, BusyError if another process has it.
    """
    from hnas.device import choose
    from hnas.studies.search.search import run_search
    from hnas.studies.search.session import Session

    if not isinstance(data := asked.get("data"), str | None):
        from hnas.data.sources.given import give

        asked["data"] = str(data) if isinstance(data, Path) else give(data)
    request, listener = Request(**asked), listener or Listener()
    decision = decide(request)
    if decision.note:
        listener.note(decision.note)
    device, lease = choose(request.device), request.patience
    with beginning(decision, listener.note) as run:
        called = _Callbacks(Found(run), callbacks)
        log = tracker(run, request.log)
        heard = Listeners(listener, Annotator(listener.note), log, called)
        session = Session(run, device, heard, rescore=request.rescore, lease=lease)
        with run.hold(), closing(session), suppress(Stop):
            run_search(session, request.stage)
    return Found(run)
