"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hnas.errors import InputError
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import PRESETS, load_plan, load_preset
from hnas.studies.request import RUNS

OF_PLAN = "from the plan"
"""The default of an option, as its help shows it."""


def as_option(name: str, value: object = None) -> str:
    """An option as it is typed: `--flops`, or `--flops 50M` with its value."""
    option = "--" + name.replace("_", "-")
    return option if value is None or value is True else f"{option} {value}"


run_option = click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    show_default="the only run in ./runs, or runs/digits",
    help="Folder of the run.",
)
run_argument = click.argument(
    "folder", metavar="RUN", type=click.Path(path_type=Path, file_okay=False)
)
optional_run_argument = click.argument(
    "folder", metavar="[RUN]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
chance_option = click.option(
    "--seed", default=0, show_default=True, help="Random seed of the networks to compare with."
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device to compute on; auto is CUDA if there is one.",
)
storage_option = click.option(
    "--storage",
    envvar="HNAS_STORAGE",
    metavar="URL",
    show_envvar=True,
    show_default="study.db in the run's folder",
    help="Database of the studies.",
)
ALLOW_CODE = "--allow-code"
code_option = click.option(
    ALLOW_CODE, is_flag=True, help="Allow a plan file to run the module:function it names."
)


def _presets(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(begun)]


preset_option = click.option(
    "--preset",
    metavar="NAME",
    show_default="digits",
    help=f"One of {', '.join(PRESETS)}.",
    shell_complete=_presets,
)


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --preset and --plan; the command receives a `plan: Plan` and its `origin: str`."""

    @preset_option
    @click.option(
        "--plan",
        "file",
        type=click.Path(path_type=Path),
        help="A plan file; `hnas init` writes one.",
    )
    @wraps(command)
    def with_plan(preset: str | None, file: Path | None, **rest: Any) -> Any:
        plan, origin = read_plan(preset, file)
        return command(plan=plan, origin=origin, **rest)

    return with_plan


def read_plan(preset: str | None, file: Path | None) -> tuple[Plan, str]:
    """The plan of --preset or --plan, and its origin in words."""
    if preset is not None and file is not None:
        raise click.UsageError("--preset and --plan exclude each other: give one of them.")
    if file is not None:
        return load_plan(file), f"plan {file}"
    name = preset or "digits"
    return load_preset(name), f"preset {name}"


def find_run(folder: Path | None) -> Path:
    """The folder given, else the only run in RUNS, else runs/digits.

    Raises InputError, listing the runs, if there are several or none.
    """
    if folder is not None:
        return folder
    from hnas.studies.run.folder import runs_in

    found = runs_in(RUNS)
    if len(found) == 1:
        return found[0]
    if RUNS / "digits" in found:
        return RUNS / "digits"
    runs = ", ".join(map(str, found)) or "none"
    raise InputError(f"--run must name a run; the runs in ./{RUNS} are: {runs}")
