"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cost.conventions import BUDGETS
from hnas.errors import InputError
from hnas.machine import DEVICES
from hnas.studies.plan.change import check_code
from hnas.studies.plan.toml import PRESETS, load_plan, load_preset
from hnas.studies.request.request import RUNS

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run

COUNT = click.IntRange(1)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def numbers(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """The callback of an option that takes numbers with commas between them."""
    try:
        return None if value is None else tuple(map(float, value.split(",")))
    except ValueError:
        raise click.BadParameter(f"{value!r} must be numbers with commas between them") from None


OF_PLAN = "from the plan"
"""The default of an option, as its help shows it."""


def as_option(name: str, value: object = None) -> str:
    """An option as it is typed: `--flops`, or `--flops 50M` with its value."""
    option = "--" + name.replace("_", "-")
    return option if value is None or value is True else f"{option} {value}"


def run(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds [RUN] and --run, two ways to name a run; the command receives `folder: Path | None`."""

    @click.argument("argument", metavar="[RUN]", required=False, type=FOLDER)
    @run_option
    @wraps(command)
    def with_run(argument: Path | None, option: Path | None, **rest: Any) -> Any:
        return command(folder=named_once(argument, option), **rest)

    return with_run


run_option = click.option(
    "--run",
    "option",
    type=FOLDER,
    metavar="DIR",
    show_default="the newest run in ./runs",
    help="Folder of the run, as RUN.",
)


def named_once(argument: Path | None, option: Path | None) -> Path | None:
    """The run that an argument or an option names."""
    if None not in (argument, option) and argument != option:
        raise click.UsageError(f"two runs are named, {argument} and {option}: name one.")
    return located(argument or option)


def located(path: Path | None) -> Path | None:
    """The run that a word names: the one in its folder, else the one in RUNS with that name, unless
    the word names an exported network."""
    from hnas.studies.run.folder import is_run

    if path is None or is_run(path) or not is_run(RUNS / path):
        return path
    exported = path.with_name(f"{path.name}.safetensors").exists()
    return path if exported or any(path.glob("*.safetensors")) else RUNS / path


json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
force = click.option(
    "--force", is_flag=True, help="Replace files that are there, whoever wrote them."
)
chance = click.option("--seed", default=0, help="Random seed of the networks to compare with.")
flops = click.option(
    "--flops",
    metavar="MACS",
    help="Limit on the multiply-accumulates of one image, for example 1.3G, or 40% of the plan's "
    "all-global network. If that leaves no room, narrower networks are searched.",
    show_default="the all-global network's; none with --objective latency",
)
convention = click.option(
    "--convention",
    metavar="NAME",
    help=f"How --flops counts, one of {', '.join(BUDGETS)}: glit as the authors' release, which "
    "misses a third of a local head's pointwise products. What is minimised stays exact.",
    show_default=OF_PLAN,
)
params = click.option(
    "--params",
    metavar="COUNT",
    help="Limit on the learned parameters, in the same way, for example 5M or 40%.",
    show_default="none",
)
time = click.option(
    "--time",
    metavar="TIME",
    help="How long the search shall take on this machine, for example 20m or 1h30m: epochs and "
    "trials are multiplied by one factor, from the time that a few steps take.",
    show_default="as long as the plan takes",
)
values = click.option(
    "--set",
    metavar="KEY=VALUE",
    multiple=True,
    help="A value for any key of the plan, for example stage1.training.lr=2e-3; may be repeated.",
)
epochs = click.option("--epochs", type=COUNT, help="Epochs of each training.", show_default=OF_PLAN)
pretrained = click.option(
    "--pretrained",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights of a ViT or DeiT (.safetensors, .pth, or a network of `hnas import`) to "
    "fine-tune for --data: the network is theirs, the budget decides what is cut of it.",
    show_default="random weights",
)
skip_bad_images = click.option(
    "--skip-bad-images",
    is_flag=True,
    help="Leave out files of class folders that cannot be decoded, instead of failing, and count "
    "them.",
)


def _check_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if DEVICES.fullmatch(value):
        return value
    raise click.BadParameter(f"{value!r} is none of auto, cpu, cuda, cuda:NUMBER, mps.")


device = click.option(
    "--device",
    metavar="auto|cpu|cuda|cuda:N|mps",
    callback=_check_device,
    default="auto",
    help="Device to compute on: auto is CUDA if there is one, cuda:1 the second GPU; mps, Apple's, "
    "is untried.",
)
storage = click.option(
    "--storage",
    envvar="HNAS_STORAGE",
    metavar="URL",
    show_envvar=True,
    show_default="study.db in the run's folder",
    help="Database of the studies.",
)
ALLOW_CODE = "--allow-code"
allow_code = click.option(
    ALLOW_CODE, is_flag=True, help="Allow the plan of a file or run to run code that it names."
)


preset = click.option(
    "--preset",
    metavar="NAME",
    show_default="digits",
    help=f"One of {', '.join(PRESETS)}.",
    shell_complete=lambda ctx, param, begun: [n for n in PRESETS if n.startswith(begun)],
)
plan = click.option(
    "--plan", type=click.Path(path_type=Path), help="Plan file; `hnas init` writes one to edit."
)


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --preset and --plan; the command receives a `plan: Plan` and its `origin: str`."""

    @preset
    @plan
    @wraps(command)
    def with_plan(preset: str | None, plan: Path | None, **rest: Any) -> Any:
        if preset is not None and plan is not None:
            raise click.UsageError("--preset and --plan exclude each other: give one of them.")
        if plan is not None:
            return command(plan=load_plan(plan), origin=f"plan {plan}", **rest)
        name = preset or "digits"
        return command(plan=load_preset(name), origin=f"preset {name}", **rest)

    return with_plan


def trusted_run(folder: Path | None, storage: str | None, allow_code: bool) -> Run:
    """As `find_run`, for a command that loads images or a teacher: raises InputError if the run's
    plan names code for that, unless `allow_code`."""
    run = find_run(folder, storage)
    trust(run, allow_code)
    return run


def trust(run: Run, allow_code: bool) -> None:
    """Raises InputError if the run's plan names code to run, unless `allow_code`."""
    if not allow_code:
        check_code(run.plan, f"the run {run.folder}", allow=ALLOW_CODE)


def find_run(folder: Path | None, storage: str | None) -> Run:
    """The run in the folder given, else the newest one. Raises InputError as `newest` does."""
    from hnas.studies.run.folder import open_run

    return open_run(folder or newest(), storage=storage)


def newest() -> Path:
    """The folder of the run in RUNS that was begun or worked on last; it is named on stderr.

    Raises InputError, with what to do first, if there is none.
    """
    from hnas.studies.run.folder import runs_in

    if not (found := runs_in(RUNS)):
        raise InputError(
            f"there is no run in ./{RUNS} yet. Begin one: `hnas search` (digits, in minutes), or "
            "`hnas search FOLDER` with a folder of images, one folder a class. Or name a run's "
            "folder"
        )
    click.echo(f"{found[-1]}, the newest of {len(found)} runs in ./{RUNS}:", err=True)
    return found[-1]
