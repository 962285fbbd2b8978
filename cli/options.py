"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from studies.plan import PRESETS, Plan, load_plan, load_preset


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --preset and --plan; the command is given the `plan: Plan` and its `origin: str`."""

    @click.option("--preset", metavar="NAME", help=f"One of {', '.join(PRESETS)} [digits].")
    @click.option(
        "--plan", "file", type=click.Path(path_type=Path), help="A plan file, see `hnas init`."
    )
    @wraps(command)
    def with_plan(preset: str | None, file: Path | None, **rest: Any) -> Any:
        plan, origin = read_plan(preset, file)
        return command(plan=plan, origin=origin, **rest)

    return with_plan


def read_plan(preset: str | None, file: Path | None) -> tuple[Plan, str]:
    """The plan that was asked for, and where it comes from in words."""
    if preset is not None and file is not None:
        raise click.UsageError("--preset and --plan exclude each other: give one of them.")
    if file is not None:
        return load_plan(file), f"plan {file}"
    name = preset or "digits"
    return load_preset(name), f"preset {name}"
