"""`hnas search` and `hnas retrain`: the long work, step by step, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.options import (
    ALLOW_CODE,
    RUNS,
    code_option,
    device_option,
    preset_option,
    read_plan,
    storage_option,
)
from hnas.cli.screen.proposal import confirmed, propose_plan, show_proposal
from hnas.cli.screen.render import (
    arch_drawing,
    command,
    front_table,
    result_tables,
    short,
)
from hnas.errors import BudgetError
from hnas.studies.objective.costs import OBJECTIVES
from hnas.studies.plan.change import check_code, override, refined
from hnas.studies.plan.plan import STRATEGIES, Plan
from hnas.studies.plan.quantities import parse_flops, parse_latency
from hnas.studies.plan.toml import PRESETS, load_preset

if TYPE_CHECKING:
    from hnas.cli.screen.progress import Display
    from hnas.studies.run.folder import Run
    from hnas.studies.search.search import Search
    from hnas.studies.trials.record import Record


@click.command()
@click.option(
    "--stage",
    type=click.IntRange(1, 3),
    help="Only this stage [all, then retraining and the final test].",
)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The run's folder, continued where it has begun [runs/NAME of the preset, plan or data].",
)
@preset_option
@click.option(
    "--plan", "file", type=click.Path(path_type=Path), help="A plan file, see `hnas init`."
)
@click.option(
    "--data",
    metavar="NAME|PATH",
    help="The images: digits, a folder, the name of a folder in $HNAS_DATA or ./data, or "
    "module:function [the plan's].",
)
@click.option(
    "--strategy",
    metavar="NAME",
    help=f"One of {', '.join(STRATEGIES)}; all but the first have one stage [the plan's].",
)
@click.option(
    "--refine",
    is_flag=True,
    help="A third stage: the whole space, from stage 2's front, with half of stage 2's trials and "
    "epochs [the plan's].",
)
@click.option(
    "--trials", type=click.IntRange(1), help="Architectures scored in each stage [the plan's]."
)
@click.option(
    "--objective",
    metavar="NAME",
    help=f"What is minimised beside errors: {', '.join(OBJECTIVES)}. Latency is one pass on "
    "--device, by a table that is measured once [the plan's, flops].",
)
@click.option(
    "--flops",
    metavar="MACS",
    help='Most multiply-accumulates of one image, as "1.3G" [those of the all-global network; any '
    "where latency alone is minimised].",
)
@click.option(
    "--latency",
    metavar="TIME",
    help='Longest pass, as "2.5ms" [that of the all-global network, or if it is more the mean of '
    "stage 1's; any where FLOPs alone are minimised].",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Of everything that draws [the plan's]."
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A network that `hnas import` or `hnas export` wrote: stage 1's supernet starts from it "
    "[random weights].",
)
@click.option("--yes", is_flag=True, help="Begin with a proposed plan without asking.")
@click.option(
    "--skip-bad-images",
    is_flag=True,
    help="Leave out and count files of class folders that cannot be decoded [an error].",
)
@click.option(
    "--rescore",
    is_flag=True,
    help="Where scores would not be comparable (another [score] in the plan, other weights), score "
    "a stage anew in a study of its own; the one before is kept.",
)
@click.option(
    "--workers",
    is_flag=True,
    help="Let `hnas worker` processes score; this one proposes and trains. Needs --storage on a "
    "database server [this process scores].",
)
@click.option(
    "--lease",
    type=click.FloatRange(1),
    default=20.0,
    metavar="SECONDS",
    help="With --workers: a worker that gives no sign of life for so long is lost, and its trial "
    "waits again [20].",
)
@code_option
@device_option
@storage_option
def search(
    stage: int | None,
    folder: Path | None,
    preset: str | None,
    file: Path | None,
    data: str | None,
    strategy: str | None,
    refine: bool,
    trials: int | None,
    objective: str | None,
    flops: str | None,
    latency: str | None,
    seed: int | None,
    init_from: Path | None,
    yes: bool,
    skip_bad_images: bool,
    rescore: bool,
    workers: bool,
    lease: float,
    allow_code: bool,
    device: str,
    storage: str | None,
) -> None:
    """Search an architecture: all stages, retraining, the test.

    With --data alone a plan is proposed from what the images are like, and shown with an estimate
    of time and memory before it begins; on a terminal you are asked. `hnas init --data` writes it.

    Strategies: hierarchical searches distributions, then sizes; high-level distributions alone;
    flat the whole space at once by SPOS's evolution; random by chance. The last three are
    baselines: their one stage is given the epochs and trials of all others.

    A run that has begun goes on where it stopped, with the plan it began with; what its trials
    depend on cannot be changed. Trials may be added.

    \b
    Examples:
      hnas search                              a first search: digits, in minutes
      hnas search --data photos                a folder with one folder a class
      hnas search --data photos --flops 50M    the same, within a budget
      hnas search --plan plan.toml             a plan of your own
      hnas search --run runs/digits            go on with a run
    """
    run = _begin(
        folder or RUNS / _name(preset, file, data, strategy, refine, objective),
        preset=preset,
        file=file,
        data=data,
        strategy=strategy,
        refine=refine,
        stage=stage,
        trials=trials,
        objective=objective,
        flops=flops,
        latency=latency,
        seed=seed,
        init_from=init_from,
        yes=yes,
        skip_bad_images=skip_bad_images,
        rescore=rescore,
        allow_code=allow_code,
        device=device,
        storage=storage,
    )
    if rescore or not _is_finished(run):
        asked = lease if workers else None
        with resumable(run.folder), run.hold():
            if stage is None:
                _search_all(run, device, rescore, asked)
            else:
                _search_stage(run, device, stage, rescore, asked)
    elif stage is None:
        click.echo(f"{run.folder} is finished, nothing is left to do.")
        _show_result(run)
    else:
        _search_stage(run, device, stage)


def _name(
    preset: str | None,
    file: Path | None,
    data: str | None,
    strategy: str | None,
    refine: bool,
    objective: str | None,
) -> str:
    """What the run's folder is called where none is given; another way to search has its own."""
    end = "" if strategy in (None, STRATEGIES[0]) else f"-{strategy}"
    end += "-refined" if refine else ""
    end += "" if objective in (None, "flops") else f"-{objective}"
    if preset is not None:
        return preset + end
    if file is not None:
        return file.stem + end
    return Path(data or "digits").resolve().name.replace(":", "-") + end


def _begin(
    folder: Path,
    *,
    preset: str | None,
    file: Path | None,
    data: str | None,
    strategy: str | None,
    refine: bool,
    stage: int | None,
    trials: int | None,
    objective: str | None,
    flops: str | None,
    latency: str | None,
    seed: int | None,
    init_from: Path | None,
    yes: bool,
    skip_bad_images: bool,
    rescore: bool,
    allow_code: bool,
    device: str,
    storage: str | None,
) -> Run:
    """The run in `folder`, made or continued with the options given."""
    from hnas.studies.run.folder import begin_run, open_run
    from hnas.studies.trials.database import open_storage

    begun = open_run(folder, storage=storage) if (folder / "plan.toml").exists() else None
    proposed = None
    if preset is not None or file is not None:
        base, origin = read_plan(preset, file)
        if not allow_code:
            # Code that --data names was asked for by whoever typed it.
            read = base if data is None else override(base, data="digits")
            check_code(read, origin, allow=ALLOW_CODE)
    elif begun is not None:
        base = begun.plan
    elif data is None or data in PRESETS:
        base = load_preset(data or "digits")
    else:
        proposed = propose_plan(data, device=device, flops=flops)
        base = proposed.plan
    base = override(base, strategy=strategy, skip_bad_images=skip_bad_images or None)
    if refine:
        base = refined(base)
    asked = _with_options(
        base, data=data, objective=objective, flops=flops, latency=latency, seed=seed
    )
    plan = _with_trials(asked, stage, trials)
    if init_from is not None:
        plan = override(plan, init_from=str(init_from.resolve()))
    if plan.data.source != base.data.source:
        plan = _with_classes(plan, begun)
    if proposed is not None:
        show_proposal(proposed, plan)
        if not (yes or confirmed()):
            raise click.exceptions.Exit
    if begun is None and storage is not None:
        open_storage(storage, create=True)  # one that does not answer is not kept
    # The plan of a run that another process works on is left alone.
    with begun.hold() if begun is not None and begun.plan != plan else nullcontext():
        return begin_run(folder, plan, storage=storage, rescore=rescore)


def _with_options(
    base: Plan,
    *,
    data: str | None,
    objective: str | None,
    flops: str | None,
    latency: str | None,
    seed: int | None,
) -> Plan:
    macs = None if flops is None else parse_flops(flops, "--flops")
    longest = None if latency is None else parse_latency(latency, "--latency")
    try:
        return override(
            base, data=data, objective=objective, flops=macs, latency=longest, seed=seed
        )
    except BudgetError as error:
        raise BudgetError(f"--flops {flops}: {error}") from None


def _with_trials(plan: Plan, stage: int | None, trials: int | None) -> Plan:
    if trials is None or stage is None:
        return override(plan, trials=trials)
    if stage == 3 and not plan.refine.trials:
        return plan  # which has no such stage: told where it is asked for
    name = ("stage1", "stage2", "refine")[stage - 1]
    return replace(plan, **{name: replace(getattr(plan, name), trials=trials)})


def _with_classes(plan: Plan, begun: Run | None) -> Plan:
    """Data of one's own decide how many classes the networks tell apart."""
    if begun is not None:
        classes = begun.plan.net.classes
    else:
        from hnas.data import survey

        classes = survey(plan.data.source).classes
        if classes != plan.net.classes:
            click.echo(f"{plan.data.source} has {classes} classes: net.classes is {classes}.")
    return replace(plan, net=replace(plan.net, classes=classes))


def _is_finished(run: Run) -> bool:
    from hnas.studies.run.status import read_status

    # Only a finished run has a result, and only then is its storage sure to be whole.
    return (run.folder / "result.json").exists() and read_status(run).finished


def _start(
    run: Run, device: str, rescore: bool = False, lease: float | None = None
) -> tuple[Search, Display]:
    from hnas.cli.screen.processes import world
    from hnas.cli.screen.progress import display
    from hnas.device import choose
    from hnas.studies.run.latency import read_costs
    from hnas.studies.search.search import Search
    from hnas.studies.trials.database import masked

    chosen, watch = choose(device), display()
    click.echo(
        f"{run.folder}: {run.plan.data.source}, {read_costs(run).words(short)}, on {chosen}, "
        f"{run.plan.search.strategy} search"
    )
    search = Search(run, chosen, watch, rescore=rescore, world=world(), lease=lease)
    click.get_current_context().call_on_close(search.close)
    if lease is not None:
        search.call()
        click.echo(f"Workers score: {command('worker', '--storage', masked(run.storage))}")
    return search, watch


def _search_all(run: Run, device: str, rescore: bool, lease: float | None) -> None:
    search, watch = _start(run, device, rescore, lease)
    with search.calling():
        _search_stages(run, search, watch)
    if (run.folder / "result.json").exists():
        click.echo("The result stays: test images are met once. For another one use a new --run.")
    with watch:
        search.finish()
    _show_result(run)


def _search_stages(run: Run, search: Search, watch: Display) -> None:
    from hnas.studies.trials.pareto import front

    for number in range(1, len(run.stages) + 1):
        if number > 1:
            with watch:
                start, distribution = search.start(number), search.handoff()
            front_of = (
                f"the front of stage {number - 1}, {len(start)} network{'s'[: len(start) > 1]}"
            )
            given = front_of if start else arch_drawing(distribution)
            click.echo(f"\nHanded over to stage {number}: {given}\n")
        with watch:
            found = search.stage(number)
        _show_front(
            run, number, front(found.records, run.plan.search.objective), len(found.records)
        )


def _search_stage(
    run: Run, device: str, stage: int, rescore: bool = False, lease: float | None = None
) -> None:
    from hnas.studies.run.status import read_status
    from hnas.studies.trials.database import open_storage
    from hnas.studies.trials.pareto import front

    run.stage(stage)  # told before a storage is made
    open_storage(run.storage, create=True)
    before = read_status(run).stages[stage - 1]
    if before.finished and not rescore:
        click.echo(f"Stage {stage} of {run.folder} is finished, nothing is left to do.")
        _show_front(run, stage, before.front, before.trials)
    else:
        search, watch = _start(run, device, rescore, lease)
        with watch, search.calling():
            found = search.stage(stage)
        _show_front(run, stage, front(found.records, run.plan.search.objective), len(found.records))
    more = ("--stage", stage + 1) if stage < len(run.stages) else ()
    _show_next("search", *more, "--run", run.folder)


def _show_front(run: Run, stage: int, front: Iterable[Record], trials: int) -> None:
    from hnas.studies.run.status import scoring_images

    front, images = list(front), scoring_images(run)
    click.echo(f"\nStage {stage}: {len(front)} of {trials:,} trials are on the Pareto front:")
    front_table(front, images, run.plan.search.objective)
    click.echo(f"\n= cannot be told from the best at 95%, on {images:,} held-out images.")


def _show_result(run: Run) -> None:
    from hnas.studies.run.result import read_result

    result = read_result(run)
    assert result is not None
    result_tables(result)
    _show_next("export", run.folder, "--to", run.folder / "winner")
    click.echo(f"or:   {command('dashboard', '--run', run.folder)}")


def _show_next(*args: object) -> None:
    click.echo(f"\nnext: {command(*args)}")
