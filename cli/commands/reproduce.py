"""`hnas reproduce`: a run's values, measured again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.render import table

if TYPE_CHECKING:
    from hnas.studies.experiments.reproduce import Reproduction


@click.command()
@options.run
@click.option("--sample", type=options.COUNT, default=10, help="Trials of each study to score.")
@options.json
@options.allow_code
@options.device
@options.storage
@click.pass_context
def reproduce(
    ctx: click.Context,
    folder: Path | None,
    sample: int,
    as_json: bool,
    allow_code: bool,
    device: str,
    storage: str | None,
) -> None:
    """Score a run's winner and a sample of its trials again.

    The command scores with the run's weights, on its held-out images. It trains nothing and writes
    nothing to the run. It does not score the test images: a run is tested once. With the machine
    and the versions that the run began with, a CPU must give the same bits. With others an accuracy
    may differ by 0.01 and a loss by 1%. The exit code is 1 if a value differs by more.

    --json prints one object: `holds`; `values`, each with `what`, `stored`, `now`, `holds`;
    `changes`, the old and the new value of each change, by name.
    """
    run = options.trusted_run(folder, storage, allow_code)

    import torch

    from hnas.device import choose
    from hnas.studies.experiments.reproduce import reproduce as reproduced

    threads = (run.about.environment or {}).get("threads", "")
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
        click.echo(f"{name}: {was} when the run began, now {now}: last digits may differ")
    failed = sum(not value.holds for value in found.values)
    if failed:
        click.echo(f"\n{failed} of {len(found.values)} values do not hold.")
    else:
        how = "within the tolerance for other machines" if found.changes else "to the last bit"
        click.echo(f"\nAll {len(found.values)} values hold, {how}.")
    click.echo("The test images were not read: a run is tested once.")
