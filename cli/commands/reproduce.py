"""`hnas reproduce`: whether a run's values hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen.options import device_option, storage_option
from hnas.cli.screen.render import table

if TYPE_CHECKING:
    from hnas.studies.experiments.reproduce import Reproduction


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
@click.option("--sample", type=click.IntRange(1), default=10, help="Trials of each study [10].")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@device_option
@storage_option
@click.pass_context
def reproduce(
    ctx: click.Context,
    folder: Path,
    sample: int,
    as_json: bool,
    device: str,
    storage: str | None,
) -> None:
    """Score a run's winner and a sample of its trials again.

    From the weights that the run holds, on its held-out images; nothing is trained and nothing of
    the run is written. Test images are not read again: they are met once. On the machine and with
    the versions that the run began with, a CPU gives the same bits, and any other value fails; on
    others an accuracy may differ by 0.01 and a loss by 1%. The exit code is 1 where a value does
    not hold.

    With --json one object: `holds`; `values`, each with `what`, `stored`, `now`, `holds`;
    `changes`, a list of what was and is, by name.
    """
    from hnas.studies.run.folder import open_run

    run = open_run(folder, storage=storage)

    import torch

    from hnas.device import choose
    from hnas.studies.experiments.reproduce import reproduce as reproduced

    threads = (run.read("run.json") or {}).get("environment", {}).get("threads", "")
    if threads.isdecimal():  # sums depend on how many there are
        torch.set_num_threads(max(int(threads), 1))
    found = reproduced(run, choose(device), sample=sample)
    if as_json:
        click.echo(json.dumps(_as_json(found)))
    else:
        _show(found)
    ctx.exit(0 if found.holds else 1)


def _as_json(found: Reproduction) -> dict[str, Any]:
    return {
        "holds": found.holds,
        "values": [vars(value) for value in found.values],
        "changes": {name: list(both) for name, both in found.changes.items()},
    }


def _show(found: Reproduction) -> None:
    table(
        ("value", "stored", "now", "holds"),
        [(v.what, f"{v.stored:.6f}", f"{v.now:.6f}", v.holds) for v in found.values],
    )
    for name, (was, now) in found.changes.items():
        click.echo(f"{name}: {was} when the run began, {now} now: last digits may differ")
    failed = sum(not value.holds for value in found.values)
    if failed:
        click.echo(f"\n{failed} of {len(found.values)} values do not hold.")
    else:
        how = "within what other machines differ by" if found.changes else "to the last bit"
        click.echo(f"\nAll {len(found.values)} values hold, {how}.")
    click.echo("The test images were not read again: they are met once.")
