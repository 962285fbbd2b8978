"""`hnas status`: the state of a run, read without torch and without touching the run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.render import (
    arch_drawing,
    command,
    duration,
    milliseconds,
    result_tables,
    table,
)

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run
    from hnas.studies.run.result import Result, TrainedNetwork
    from hnas.studies.run.status import Status
    from hnas.studies.run.studies import StageStudy
    from hnas.studies.trials.record import Record


@click.command()
@options.run
@options.json
@options.storage
def status(folder: Path | None, as_json: bool, storage: str | None) -> None:
    """Show what a run has done and what comes next.

    --json prints one object: `run`, `storage`, `strategy`, `objective`; `latency_table`, the error
    of its sums (`networks`, `mean`, `worst`, `bias`, `tau`) and its `spread`; `stages`, each with
    its supernet's training (`epochs`, `epochs_asked`), `trials`, `trials_asked`, `exhausted`,
    `finished`, and the `best` trial and all of the Pareto `front` (`trial`, `score`, `macs`,
    `latency_ms`, `params`, `arch`); `handoff`, an architecture; `networks`, the number trained
    alone; `seconds` of each step, and about how many are left in all, `seconds_left`; `result`,
    with `test_images`, `candidates`, `winner` and `all_global` (`arch`, `d`, `macs`, `params`,
    `score`, `accuracy` on held-out images, `test_accuracy`, `standard_error`, `latency_ms`),
    `baselines`, the simple models (`name`, `setting`, `images`, `accuracy`, `test_accuracy`,
    `standard_error`, `taught`: whether the networks learned from it), and the `verdict`, in words;
    `finished`; `next`, a command. A missing value is null; accuracies are 0 to 1.
    """
    from hnas.studies.run.status import read_status

    run = options.find_run(folder, storage)
    found = read_status(run)
    if as_json:
        click.echo(json.dumps(_as_json(run, found)))
    else:
        _show(run, found)


def _next(run: Run, found: Status) -> str:
    if found.finished:
        return command("export", run.folder, "--to", run.folder / "winner")
    return command("search", "--run", run.folder)


def _show(run: Run, found: Status) -> None:
    from hnas.studies.plan.strategies import cnn_epochs
    from hnas.studies.run.agenda import TEACHER
    from hnas.studies.run.latency import read_costs, read_measured

    click.echo(
        f"{run.folder}: {run.plan.data.source}, {read_costs(run).words()}, "
        f"{run.plan.search.strategy} search"
    )
    if (measured := read_measured(run)) is not None:
        click.echo(measured.words)
    rows: list[tuple[object, ...]] = []

    def took(step: str) -> str | None:
        seconds = found.times.seconds.get(step)
        return None if seconds is None else duration(seconds)

    for stage in found.stages:
        number, asked = stage.number, stage.asked
        net = f"supernet of stage {number}"
        spent = took(f"supernet of {asked.name}")
        rows.append((net, stage.epochs, asked.training.epochs, "epochs", spent))
        unit = "trials" + " (there are no more)" * stage.marks.exhausted
        best: tuple[object, ...] = ()
        if (b := stage.best) is not None:
            ms, front = milliseconds(b.latency), len(stage.front)
            best = (b.accuracy, b.macs, ms, front, arch_drawing(b.arch))
        spent = took(f"trials of {asked.name}")
        rows.append((f"stage {number}", stage.trials, asked.trials, unit, spent, *best))
        if number == 1 and found.handoff:
            rows.append(("hand-off", *(None,) * 8, arch_drawing(found.handoff)))
    if epochs := cnn_epochs(run.plan):
        done = run.trained_epochs(run.teacher)
        rows.append((TEACHER, done, epochs, "epochs", took(TEACHER)))
    rows.append(("trained alone", found.networks, None, "networks", took("networks alone")))
    columns = ("step", "done", "of", "", "time", "best score", "MACs", "ms", "front", "blocks")
    filled = [(*row, *(None,) * (len(columns) - len(row))) for row in rows]
    table(columns, filled, optional="ms")
    if found.times.seconds:
        click.echo(f"\nAll steps so far took {duration(found.times.total)}.{_to_come(found)}")
    if found.result is not None:
        result_tables(found.result)
    click.echo(f"\nnext: {_next(run, found)}")


def _to_come(found: Status) -> str:
    """The step that a run is at and the time that is left, in a sentence, if it is not finished."""
    from hnas.studies.run.agenda import agenda_of

    if found.finished or (agenda := agenda_of(found)) is None:
        return ""
    if (step := agenda.now) is None:
        return " The test is left."
    left = agenda.seconds_left()
    words = "" if left is None else f"; what is left takes about {duration(left)}"
    return f" It is at {agenda.place(step.name)}, {step.name}{words}."


def _as_json(run: Run, found: Status) -> dict[str, Any]:
    from hnas.studies.run.latency import read_measured
    from hnas.studies.trials.url import masked

    measured = read_measured(run)
    return {
        "run": str(run.folder),
        "storage": masked(run.storage),
        "strategy": run.plan.search.strategy,
        "objective": run.plan.search.objective,
        "latency_table": measured and {**asdict(measured.error), "spread": measured.table.spread},
        "stages": [_stage(stage) for stage in found.stages],
        "handoff": found.handoff and found.handoff.to_dict(),
        "networks": found.networks,
        "seconds": dict(found.times.seconds),
        "seconds_left": _seconds_left(found),
        "result": found.result and _result(found.result),
        "finished": found.finished,
        "next": _next(run, found),
    }


def _seconds_left(found: Status) -> float | None:
    from hnas.studies.run.agenda import agenda_of

    agenda = agenda_of(found)
    return None if agenda is None else agenda.seconds_left()


def _stage(stage: StageStudy) -> dict[str, Any]:
    return {
        "epochs": stage.epochs,
        "epochs_asked": stage.asked.training.epochs,
        "trials": stage.trials,
        "trials_asked": stage.asked.trials,
        "exhausted": stage.marks.exhausted,
        "finished": stage.finished,
        "best": stage.best and _trial(stage.best),
        "front": [*map(_trial, stage.front)],
    }


def _trial(record: Record) -> dict[str, Any]:
    return {
        "trial": record.number,
        "score": record.accuracy,
        "macs": record.macs,
        "latency_ms": milliseconds(record.latency),
        "params": record.params,
        "arch": record.arch.to_dict(),
    }


def _result(result: Result) -> dict[str, Any]:
    from hnas.studies.run.result import shown_baselines

    return {
        "test_images": result.test_images,
        "winner": _tested(result, result.winner),
        "all_global": _tested(result, result.all_global),
        "candidates": [_tested(result, network) for network in result.candidates],
        "baselines": shown_baselines(result.baselines, result.test_images),
        "verdict": result.verdict(),
    }


def _tested(result: Result, network: TrainedNetwork) -> dict[str, Any]:
    shown = result.shown(network)
    shown["latency_ms"] = milliseconds(shown.pop("latency"))
    return shown
