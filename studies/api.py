"""hnas from Python, as from the command line: search, go on, look, take away.

    import hnas

    found = hnas.search(preset="digits", run="runs/digits") # as `hnas search`; goes on where it is
    found = hnas.open_run("runs/digits")                    # what is there; nothing is computed
    found.result.winner.test_accuracy
    found.front(1)                                          # trials, as records
    found.study(1)                                          # an optuna.Study
    network = found.network()                               # the winner, trained: a hnas Network
    found.export("digits_net")                              # as `hnas export`

What goes wrong raises what `hnas.errors` lists. In a notebook a `Found` shows itself.
"""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from hnas.errors import InputError
from hnas.studies.plan.change import check_code, override, refined
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_plan, load_preset
from hnas.studies.run import folder as runs
from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result, read_result
from hnas.studies.run.status import Status, read_status
from hnas.studies.run.studies import read_studies
from hnas.studies.search.events import Watch
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.pareto import front
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study

if TYPE_CHECKING:
    import optuna

    from hnas.exchange.export import Network
    from hnas.studies.search.search import Search

RUNS = Path("runs")
"""Where runs are kept that were given no folder."""


@dataclass(frozen=True)
class Found:
    """A run as it stands, read anew at every question: a search may go on meanwhile."""

    run: Run

    @property
    def plan(self) -> Plan:
        return self.run.plan

    @property
    def status(self) -> Status:
        """Stages, trials, epochs, networks; as `hnas status` tells."""
        return read_status(self.run)

    @property
    def result(self) -> Result | None:
        """The winner and the all-global network, tested; None before the end."""
        return read_result(self.run)

    def trials(self, stage: int) -> tuple[Record, ...]:
        """The scored architectures of a stage (counted from 1), by number."""
        study = read_studies(self.run).get(stage)
        return tuple(study.records) if study else ()

    def front(self, stage: int) -> tuple[Record, ...]:
        """Those that no other dominates, by rising costs."""
        return tuple(front(self.trials(stage), self.plan.search.objective))

    def study(self, stage: int) -> optuna.Study:
        """A stage's study, for Optuna's own tools. Raises StorageError where there is none yet."""
        return open_study(open_storage(self.run.storage), self.run.study_name(stage))

    def network(self, device: str = "auto") -> Network:
        """The winner, trained, and what its images must look like.

        Raises StateError where the search is not finished, BusyError where it is going on.
        """
        with self.run.hold(), closing(_search(self.run, device, None)) as steps:
            return steps.winner()

    def export(self, path: str | Path, device: str = "auto") -> tuple[Path, ...]:
        """Writes the winner as PATH.safetensors, PATH.json and PATH.py, which needs no hnas."""
        from hnas.exchange.export import save, save_module

        network = self.network(device)
        return (*save(network, Path(path)), save_module(Path(path)))

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
        if status.result is not None:
            return [
                (name, f"{n.test_accuracy:.4f} (test)", f"{n.macs:,}", f"{n.params:,}")
                for name, n in (
                    ("winner", status.result.winner),
                    ("all-global", status.result.all_global),
                )
            ]
        return [
            (
                f"stage {number}, best of {stage.trials:,} trials",
                f"{stage.best.accuracy:.4f} (score)",
                f"{stage.best.macs:,}",
                f"{stage.best.params:,}",
            )
            for number, stage in enumerate(status.stages, 1)
            if stage.best
        ]


def open_run(folder: str | Path, *, storage: str | None = None) -> Found:
    """A run that has begun. Raises InputError where there is none."""
    return Found(runs.open_run(Path(folder), storage=storage))


def search(
    *,
    preset: str | None = None,
    plan: Plan | str | Path | None = None,
    data: str | None = None,
    run: str | Path | None = None,
    stage: int | None = None,
    strategy: str | None = None,
    refine: bool = False,
    allow_code: bool = False,
    trials: int | None = None,
    epochs: int | None = None,
    flops: int | str | None = None,
    objective: str | None = None,
    latency: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    storage: str | None = None,
    watch: Watch | None = None,
) -> Found:
    """Searches an architecture, or goes on with a run: all stages, retraining, the test.

    One of `preset`, `plan` (a Plan or a file) and `data` says what is searched; with `data` alone a
    plan is proposed (`hnas.studies.plan.proposal`); with none of them it is the preset `digits`, or
    the plan of the run in `run`. The others replace what the plan says: `trials` of each stage,
    `epochs` of each training; `refine` adds a third stage (`hnas.studies.plan.change.refined`).
    With `stage` (counted from 1) that stage alone is searched. A plan file that names code to be
    run (`module:function`) needs `allow_code`. `watch` is told what happens; by default nobody is.

    Raises InputError for what cannot be searched, MismatchError where the run has begun with
    another plan, BusyError where another process has it.
    """
    if preset is not None and plan is not None:
        raise InputError("search takes one of preset and plan, got both")
    folder = Path(run) if run is not None else RUNS / _name(preset, plan, data)
    begun = (folder / "plan.toml").exists()
    if preset is not None:
        base = load_preset(preset)
    elif isinstance(plan, Plan):
        base = plan
    elif plan is not None:
        base = load_plan(Path(plan))
        if not allow_code:  # code that `data` names was asked for by the caller
            read = base if data is None else override(base, data="digits")
            check_code(read, f"the plan {plan}", allow="allow_code=True")
    elif begun:
        base = runs.open_run(folder, storage=storage).plan
    elif data is not None:
        base = _proposed(data, device, flops)
    else:
        base = load_preset("digits")
    asked = override(
        refined(override(base, strategy=strategy)) if refine else base,
        data=data,
        flops=flops,
        objective=objective,
        latency=latency,
        seed=seed,
        trials=trials,
        epochs=epochs,
        strategy=strategy,
    )
    if asked.data.source != base.data.source and not begun:
        asked = _with_classes(asked)
    held = runs.open_run(folder, storage=storage).hold() if begun else nullcontext()
    with held:
        made = runs.begin_run(folder, asked, storage=storage)
    with made.hold(), closing(_search(made, device, watch)) as steps:
        if stage is not None:
            steps.stage(stage)
            return Found(made)
        for number in range(1, len(made.stages) + 1):
            steps.stage(number)
        steps.finish()
    return Found(made)


def _search(run: Run, device: str, watch: Watch | None) -> Search:
    from hnas.device import choose
    from hnas.studies.search.search import Search

    return Search(run, choose(device), watch)


def _with_classes(plan: Plan) -> Plan:
    """Images of one's own decide how many classes the networks tell apart."""
    from hnas.data import survey

    return replace(plan, net=replace(plan.net, classes=survey(plan.data.source).classes))


def _proposed(data: str, device: str, flops: int | str | None) -> Plan:
    from hnas.data import survey
    from hnas.device import choose
    from hnas.studies.plan.proposal import propose
    from hnas.studies.plan.quantities import parse_flops

    macs = None if flops is None else parse_flops(flops)
    return propose(survey(data), data, device=choose(device).type, flops=macs).plan


def _name(preset: str | None, plan: Plan | str | Path | None, data: str | None) -> str:
    """What the run's folder is called where none is given."""
    if isinstance(plan, Plan):
        raise InputError("search with a Plan needs run=, the folder to keep it in")
    if preset is not None:
        return preset
    if plan is not None:
        return Path(plan).stem
    return Path(data or "digits").resolve().name.replace(":", "-")
