"""hnas from Python, as from the command line: search, resume, look, take away.

    import hnas

    found = hnas.search(preset="digits", run="runs/digits")  # as `hnas search`; resumes the run
    found = hnas.open_run("runs/digits")                     # what is there; nothing is computed
    found.result.winner.test_accuracy
    found.front(1)                                           # trials, as records
    found.study(1)                                           # an optuna.Study
    network = found.network()                                # the winner, trained: a hnas Network
    found.export("digits_net")                               # as `hnas export`

Errors are those of `hnas.errors`. In a notebook a `Found` shows itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from hnas.studies.dashboard.listener import Annotator
from hnas.studies.objective.costs import Priced
from hnas.studies.plan.change import Changes
from hnas.studies.plan.plan import Plan
from hnas.studies.request.begin import beginning
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.run import folder as runs
from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result, read_result
from hnas.studies.run.status import Status, read_status
from hnas.studies.run.studies import StageStudy, read_stages
from hnas.studies.search.events import Listener, Listeners
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study

if TYPE_CHECKING:
    import optuna

    from hnas.exchange.export import Network


@dataclass(frozen=True)
class Found:
    """A run as it stands, read again at every question: a search may be running."""

    run: Run

    @property
    def plan(self) -> Plan:
        return self.run.plan

    @property
    def status(self) -> Status:
        """Stages, trials, epochs, networks; as `hnas status` shows."""
        return read_status(self.run)

    @property
    def result(self) -> Result | None:
        """The winner and the all-global network, tested; None before the end."""
        return read_result(self.run)

    def trials(self, stage: int) -> tuple[Record, ...]:
        """The scored architectures of a stage (counted from 1), by number."""
        return self._stage(stage).records

    def front(self, stage: int) -> tuple[Record, ...]:
        """Those that no other dominates, by rising costs."""
        return self._stage(stage).front

    def _stage(self, stage: int) -> StageStudy:
        """Raises InputError if the strategy has no such stage, StorageError."""
        self.run.stage(stage)
        return read_stages(self.run)[stage - 1]

    def study(self, stage: int) -> optuna.Study:
        """A stage's study, for Optuna's own tools. Raises StorageError if there is none yet."""
        return open_study(open_storage(self.run.storage), self.run.study_name(stage))

    def network(self, device: str = "auto") -> Network:
        """The winner, trained, and what its images must look like; read from the run's folder.

        Raises StateError if the search is not finished, or the network's files are missing.
        """
        from hnas.device import choose
        from hnas.studies.run.networks import winner

        network = winner(self.run)
        network.model.to(choose(device))
        return network

    def export(
        self, path: str | Path, device: str = "auto", *, force: bool = False
    ) -> tuple[Path, ...]:
        """Writes the winner as PATH.safetensors, PATH.json and PATH.py, which needs no hnas.

        Raises InputError if another network's files, or files of others, are there without `force`.
        """
        from hnas.exchange.export import save

        return save(self.network(device), Path(path), also=("py",), force=force)

    def __repr__(self) -> str:
        rows = "; ".join(f"{name} {score} at {macs} MACs" for name, score, macs, _ in self._rows())
        state = "finished" if self.status.finished else "not finished"
        return f"Found({self.run.folder}, {state}{': ' if rows else ''}{rows})"

    def _repr_html_(self) -> str:
        """For notebooks: a table of the best, and the network drawn."""
        from hnas.studies.figures.network import network
        from hnas.studies.figures.style import svg
        from hnas.studies.report.gather import picture_of

        head = "".join(f"<th>{name}</th>" for name in ("", "accuracy", "MACs", "parameters"))
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        picture = picture_of(self.plan, self.status)
        drawn = f"<p>{escape(picture.title)}</p>{svg(network(picture))}" if picture else ""
        name = escape(str(self.run.folder))
        return f"<b>{name}</b><table><tr>{head}</tr>{rows}</table>{drawn}"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """(what, accuracy, MACs, parameters): the tested ones, or each stage's best so far."""
        status = self.status
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
    storage: str | None


def search(*, listener: Listener | None = None, **asked: Unpack[Asked]) -> Found:
    """Searches for an architecture, or resumes a run: all stages, retraining, the test.

    The keywords are the options of `hnas search`. One of `preset`, `plan` (a Plan or a file) and
    `data` (a name, or the images: `hnas.data.sources.given`) says what is searched. With `data`
    alone a plan is proposed (`hnas.studies.plan.proposal`); with none of them it is the plan of the
    run in `run`, or the preset `digits`. The others replace what the plan says. `listener` hears
    what happens.

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
    heard = Listeners(listener, Annotator(listener.note))
    device, lease = choose(request.device), request.patience
    with beginning(decision, heard.note) as run:
        session = Session(run, device, heard, rescore=request.rescore, lease=lease)
        with run.hold(), closing(session):
            run_search(session, request.stage)
    return Found(run)
