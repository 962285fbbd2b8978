"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.errors import InputError
from hnas.studies.plan.toml import PRESETS, load_plan, load_preset
from hnas.studies.request import RUNS

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run

COUNT = click.IntRange(1)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
OF_PLAN = "from the plan"
"""The default of an option, as its help shows it."""


def as_option(name: str, value: object = None) -> str:
    """An option as it is typed: `--flops`, or `--flops 50M` with its value."""
    option = "--" + name.replace("_", "-")
    return option if value is None or value is True else f"{option} {value}"


run = click.option(
    "--run",
    "folder",
    type=FOLDER,
    metavar="DIR",
    show_default="the only run in ./runs, or runs/digits",
    help="Folder of the run.",
)
run_argument = click.argument("folder", metavar="RUN", type=FOLDER)
optional_run_argument = click.argument("folder", metavar="[RUN]", required=False, type=FOLDER)
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
params = click.option(
    "--params",
    metavar="COUNT",
    help="Limit on the learned parameters, in the same way, for example 5M or 40%.",
    show_default="none",
)
values = click.option(
    "--set",
    metavar="KEY=VALUE",
    multiple=True,
    help="A value for any key of the plan, for example stage1.training.lr=2e-3; may be repeated.",
)
epochs = click.option("--epochs", type=COUNT, help="Epochs of each training.", show_default=OF_PLAN)
skip_bad_images = click.option(
    "--skip-bad-images",
    is_flag=True,
    help="Leave out files of class folders that cannot be decoded, instead of failing, and count "
    "them.",
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Device to compute on; auto is CUDA if there is one.",
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
    ALLOW_CODE, is_flag=True, help="Allow a plan file to run the module:function it names."
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


def find_run(folder: Path | None, storage: str | None) -> Run:
    """The run in the folder given, else the only run in RUNS, else runs/digits.

    Raises InputError, listing the runs, if there are several or none.
    """
    from hnas.studies.run.folder import open_run, runs_in

    if folder is None:
        found = runs_in(RUNS)
        folder = found[0] if len(found) == 1 else RUNS / "digits"
        if folder not in found:
            runs = ", ".join(map(str, found)) or "none"
            raise InputError(f"--run must name a run; the runs in ./{RUNS} are: {runs}")
    return open_run(folder, storage=storage)
