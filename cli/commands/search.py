"""`hnas search`: the request, the search step by step, and its result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.proposal import begins
from hnas.cli.screen.render import command, note, result_tables, show_next, wrapped
from hnas.cli.screen.session import show_front, start
from hnas.machine import PRECISIONS
from hnas.studies.objective.costs import OBJECTIVES
from hnas.studies.plan.tables import SAMPLERS, STRATEGIES
from hnas.studies.request.begin import beginning
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.trials.waiting import LEASE

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run


@click.command()
@click.argument("source", metavar="[RUN|IMAGES]", required=False)
@click.option(
    "--stage",
    type=click.IntRange(1, 3),
    help="Search this stage alone.",
    show_default="all, then retraining and the test",
)
@click.option(
    "--run",
    type=options.FOLDER,
    metavar="DIR",
    help="Folder of the run; a run that has begun is resumed.",
    show_default="runs/NAME of the preset, plan or data",
)
@options.preset
@options.plan
@click.option(
    "--data",
    metavar="NAME|PATH",
    help="Images: digits, a folder, the name of a folder in $HNAS_DATA or ./data, or "
    "module:function.",
    show_default=options.OF_PLAN,
)
@click.option(
    "--strategy",
    metavar="NAME",
    help=f"Way to search: {', '.join(STRATEGIES)}. All but the first have one stage.",
    show_default=options.OF_PLAN,
)
@click.option(
    "--sampler",
    metavar="NAME",
    help=f"Way to propose architectures: {', '.join(SAMPLERS)}, or module:function, which gives a "
    "sampler of Optuna's from a population and a seed. The first generation of a sampler named "
    "here begins with the cheapest, the all-global and the all-local network.",
    show_default=options.OF_PLAN,
)
@click.option(
    "--refine",
    is_flag=True,
    help="Add a third stage: search the whole space from stage 2's front, with half of stage 2's "
    "trials and epochs.",
)
@click.option(
    "--trials",
    type=options.COUNT,
    help="Architectures to score in each stage, or in --stage alone. A strategy of one stage "
    "scores so many in all.",
    show_default=options.OF_PLAN,
)
@options.epochs
@click.option(
    "--objective",
    metavar="NAME",
    help=f"Cost to minimise besides errors: {', '.join(OBJECTIVES)}. Latency is one pass on "
    "--device, from a table that is measured once.",
    show_default=options.OF_PLAN,
)
@options.flops
@options.convention
@options.params
@options.time
@click.option(
    "--latency",
    metavar="TIME",
    help="Latency limit, for example 2.5ms.",
    show_default="the all-global network's, or the mean of stage 1's if that is more; none with "
    "--objective flops",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Random seed.", show_default=options.OF_PLAN
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Network that `hnas import` or `hnas export` wrote; stage 1's supernet starts from it.",
    show_default="random weights",
)
@options.pretrained
@click.option("--yes", is_flag=True, help="Begin without asking.")
@options.skip_bad_images
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="What matrix products are computed in. auto is bf16 on a GPU that has it, else fp32; bf16 "
    "is faster on a CPU with AMX or AVX512-BF16 too.",
    show_default=options.OF_PLAN,
)
@click.option(
    "--compile",
    is_flag=True,
    help="Compile the blocks of all networks (torch.compile): on a CPU it costs minutes and gains "
    "nothing, on a GPU it is untried.",
)
@click.option(
    "--rescore",
    is_flag=True,
    help="Score a stage again, in a new study, if its scores are not comparable any more (another "
    "[score] in the plan, other weights). The old study is kept.",
)
@click.option(
    "--workers",
    is_flag=True,
    help="Let `hnas worker` processes score; this process proposes and trains. Needs --storage on "
    "a database server.",
)
@click.option(
    "--lease",
    type=click.FloatRange(1),
    default=LEASE,
    metavar="SECONDS",
    help="With --workers: time without a sign of life after which a worker counts as lost and its "
    "trial waits again.",
)
@click.option(
    "--log",
    metavar="NAME",
    help="Log curves and trials for another program: tensorboard (to the run's folder), mlflow, "
    "wandb, trackio.",
    show_default="no log",
)
@options.values
@options.allow_code
@options.device
@options.storage
def search(source: str | None, yes: bool, **asked: Any) -> None:
    """Search for an architecture, retrain the best and test the winner.

    The argument is a run to resume, as --run, or images to search for, as --data.

    With images alone a plan is proposed for the images. It is shown with an estimate of time and
    memory, and on a terminal you are asked before it begins; so you are with --plan. `hnas init
    --data` writes it.

    Strategies: hierarchical searches distributions, then sizes; high-level searches distributions
    alone; flat searches the whole space at once, by SPOS's evolution; random does so by chance. The
    last three are baselines: their one stage has the epochs and trials of all stages together.

    A run that has begun is resumed with its own plan. What its trials or its result depend on
    cannot be changed; trials can be added.

    \b
    Examples:
      hnas search                              a first search: digits, in minutes
      hnas search photos                       a folder with one folder a class
      hnas search photos --flops 50M           the same, within a budget
      hnas search photos --pretrained vit.pth  the same, from pretrained weights
      hnas search --flops 40% --params 80K     digits, in narrower networks
      hnas search --plan plan.toml             a plan of your own
      hnas search runs/digits                  resume a run
    """
    request = _request(source, asked)
    decision = decide(request)
    if decision.note:
        click.echo(decision.note)
    if not begins(decision, yes=yes):
        raise click.exceptions.Exit
    with beginning(decision, note) as run:
        _continue(run, request)


def _request(source: str | None, asked: dict[str, Any]) -> Request:
    """What is asked for, with the argument as --run or --data."""
    from hnas.studies.run.folder import is_run

    if source is not None:
        name = "run" if is_run(Path(source)) else "data"
        if asked[name] is not None:
            raise click.UsageError(f"{source} and --{name} {asked[name]}: name one of them.")
        asked[name] = Path(source) if name == "run" else source
    return Request(spell=options.as_option, **asked)


def _continue(run: Run, request: Request) -> None:
    if request.rescore or not _is_finished(run):
        with resumable(run.folder), run.hold():
            if request.stage is None:
                _search_all(run, request)
            else:
                _search_stage(run, request.stage, request)
    elif request.stage is None:
        click.echo(f"{run.folder} is finished, nothing is left to do.")
        _show_result(run)
    else:
        _search_stage(run, request.stage, request)


def _is_finished(run: Run) -> bool:
    from hnas.studies.run.result import has_result

    if not has_result(run.folder):  # only with a result is its storage sure to be whole
        return False

    from hnas.studies.run.status import read_status

    return read_status(run).finished


def _search_all(run: Run, request: Request) -> None:
    from hnas.studies.run.result import has_result

    tested = has_result(run.folder)
    _search(run, request)
    if tested:
        click.echo("The result stays: a run is tested once. For another result use a new --run.")
    _show_result(run, "" if run.plan.needs_latency else _speed(run, request.device))


def _speed(run: Run, device: str) -> str:
    """The milliseconds of the answer, which its table lacks if the search had no latency table."""
    from hnas.device import choose
    from hnas.studies.run.speed import in_words, speeds

    chosen = choose(device)
    return in_words(speeds(run, chosen), str(chosen), run.plan.search.objective)


def _search_stage(run: Run, stage: int, request: Request) -> None:
    from hnas.studies.run.status import read_status
    from hnas.studies.trials.database import open_storage

    open_storage(run.storage, create=run.about.storage is None)
    before = read_status(run).stages[stage - 1]
    if before.finished and not request.rescore:
        click.echo(f"Stage {stage} of {run.folder} is finished, nothing is left to do.")
        show_front(run, stage, before.records)
    else:
        _search(run, request)
    more = ("--stage", stage + 1) if stage < len(run.stages) else ()
    show_next("search", *more, "--run", run.folder)


def _search(run: Run, request: Request) -> None:
    session, shown = start(run, request)

    from hnas.studies.search.search import run_search  # after the first line, which waits for less

    with shown:
        run_search(session, request.stage)


def _show_result(run: Run, speed: str = "") -> None:
    from hnas.studies.run.folder import PLAN
    from hnas.studies.run.remarks import lesson, more_time
    from hnas.studies.run.result import read_result

    result = read_result(run)
    assert result is not None
    result_tables(result)
    for words in (more_time(run, result), speed):
        if words:
            click.echo(wrapped(words))
    show_next("export", run.folder, "--to", run.folder / "winner")
    click.echo(f"or:   {command('dashboard', '--run', run.folder)}")
    if result.baselines and not lesson(result):
        small = command("baselines", "--plan", run.folder / PLAN, "--cnn")
        click.echo("or, to train a small CNN to compare with, as long as the winner:")
        click.echo(f"      {small}")
