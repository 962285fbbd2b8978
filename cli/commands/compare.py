"""`hnas compare`: strategies and plans compared over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.interrupt import resumable, typed
from hnas.cli.screen.render import cell, duration, table
from hnas.errors import InputError
from hnas.studies.plan.change import check_code
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import SAMPLERS, STRATEGIES
from hnas.studies.plan.toml import PRESETS, load_plan, load_preset
from hnas.studies.request.request import RUNS

if TYPE_CHECKING:
    from hnas.cli.screen.progress import Display
    from hnas.studies.experiments.compare import Row, Task

WINNER = ("test", "difference", "held-out", "best score", "MACs", "params")
"""Columns of both tables."""


def plans_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --preset, --plan and --allow-code; the command receives `plans: dict[str, Plan]`."""

    @click.option(
        "--preset",
        "presets",
        multiple=True,
        metavar="NAME",
        show_default="digits",
        help=f"One of {', '.join(PRESETS)}; may be given several times.",
    )
    @click.option(
        "--plan",
        "files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A plan file; may be given several times.",
    )
    @options.allow_code
    @wraps(command)
    def with_plans(
        presets: tuple[str, ...], files: tuple[Path, ...], allow_code: bool, **rest: Any
    ) -> Any:
        plans = _plans(presets or (() if files else ("digits",)), files)
        for name, plan in plans.items():
            if not allow_code:
                check_code(plan, f"the plan {name}", allow=options.ALLOW_CODE)
        return command(plans=plans, **rest)

    return with_plans


@click.command()
@plans_options
@click.option(
    "--strategies",
    default=",".join(STRATEGIES),
    metavar="A,B",
    help="Strategies; the others are compared with the first.",
)
@click.option(
    "--samplers",
    default="",
    metavar="A,B",
    help=f"Samplers, each with every strategy but random: {', '.join(SAMPLERS)}, or "
    "module:function. So hierarchy and optimiser are told apart.",
    show_default="each plan's and strategy's own",
)
@click.option("--seeds", default="0,1,2", metavar="A,B", help="Random seeds of the plans.")
@click.option(
    "--runs",
    "folder",
    type=options.FOLDER,
    default=RUNS / "compare",
    metavar="DIR",
    help="Folder of the runs.",
)
@click.option(
    "--to",
    "target",
    type=options.FOLDER,
    metavar="DIR",
    show_default="the folder of the runs",
    help="Folder to write compare.json and compare.svg to.",
)
@click.option(
    "--jobs",
    type=options.COUNT,
    default=1,
    help="Searches at the same time, each on one CPU thread if there are several.",
)
@options.device
def compare(
    plans: dict[str, Plan],
    strategies: str,
    samplers: str,
    seeds: str,
    folder: Path,
    target: Path | None,
    jobs: int,
    device: str,
) -> None:
    """Compare strategies or plans over several seeds.

    The command searches every plan by every strategy from every seed, each in a run of its own. It
    reads finished runs; after an interruption the same command resumes. It prints each winner, then
    mean and standard deviation (n - 1) over the seeds. compare.json has both, with machine and
    versions.

    A seed decides the split of the images, so differences are taken seed by seed, from the first
    strategy of the plan, or from the first plan if there is only one strategy.
    """
    from hnas.studies.experiments.compare import is_finished, rows, tasks, write_files

    names, by = ([name.strip() for name in text.split(",")] for text in (strategies, samplers))
    asked = tasks(plans, names, _numbers(seeds), folder, by)
    unfinished = [task for task in asked if not is_finished(task)]
    click.echo(f"{len(asked)} runs in {folder}, {len(asked) - len(unfinished)} of them finished")
    if unfinished:
        with resumable(folder):
            _search(unfinished, device, jobs)
    found = rows(asked)
    _show_each(found)
    _show_means(found)
    for path in write_files(found, target or folder, typed()):
        click.echo(f"Wrote {path}")


def _plans(presets: Sequence[str], files: Sequence[Path]) -> dict[str, Plan]:
    """The plans by name. Raises InputError if two have the same name."""
    named = [(name, load_preset(name)) for name in presets]
    named += [(file.stem, load_plan(file)) for file in files]
    names = [name for name, _ in named]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"plans must have distinct names, got {twice[0]!r} twice: rename a file")
    return dict(named)


def _numbers(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise InputError(
            f"--seeds must be whole numbers separated by commas, such as 0,1,2; got {seeds!r}"
        ) from None


def _search(unfinished: Sequence[Task], device: str, jobs: int) -> None:
    from hnas.cli.screen.progress import display
    from hnas.studies.experiments.batch import search_all
    from hnas.studies.experiments.compare import outcome

    @contextmanager
    def shown(task: Task) -> Iterator[Display]:
        click.echo(f"\n{task.words}: {task.folder}")
        with display() as bars:
            yield bars

    searched = search_all(unfinished, device=device, jobs=jobs, listener=shown)
    for done, task in enumerate(searched, 1):
        one = outcome(task)
        took = duration((one.minutes or 0) * 60)
        click.echo(
            f"{done}/{len(unfinished)}: {task.words}: test {cell(one.test)}, "
            f"all-global {cell(one.all_global)}, {took}"
        )


def _show_each(found: Sequence[Row]) -> None:
    click.echo("\nEach winner:")
    lines: list[tuple[object, ...]] = []
    for row in found:
        for i, one in enumerate(row.outcomes):
            difference = row.differences[i] if row.reference else None
            named = (row.plan, row.strategy, f"{one.seed}")
            measured = (one.test, difference, one.held_out, one.score, one.macs, one.params)
            spent = (one.all_global, one.hypervolume, _minutes(one.minutes))
            lines.append((*named, *measured, *spent))
    table(("plan", "strategy", "seed", *WINNER, "all-global", "hypervolume", "minutes"), lines)


def _show_means(found: Sequence[Row]) -> None:
    from hnas.studies.experiments.compare import mean

    seeds = len(found[0].outcomes)
    click.echo(f"\nMean over {seeds} seed{'s'[: seeds > 1]}, +- standard deviation:")
    lines: list[tuple[object, ...]] = []
    for row in found:
        test, held_out, score, all_global = (
            _with_spread(row.values(name)) for name in ("test", "held_out", "score", "all_global")
        )
        macs, params = (round(mean(row.values(name)) or 0) for name in ("macs", "params"))
        sign = _with_spread(row.differences, "+") if row.reference else ""
        minutes = _minutes(mean(row.values("minutes")))
        measured = (test, sign, held_out, score, macs, params, all_global, minutes)
        lines.append((row.plan, row.strategy, *measured))
    table(("plan", "strategy", *WINNER, "all-global", "minutes"), lines)


def _with_spread(values: Sequence[float], sign: str = "") -> str:
    from hnas.studies.experiments.compare import mean, spread

    deviation = spread(values)
    middle = format(mean(values) or 0.0, f"{sign}.4f")
    return middle if deviation is None else f"{middle} +- {deviation:.4f}"


def _minutes(minutes: float | None) -> str | None:
    return None if minutes is None else f"{minutes:.1f}"
