"""`hnas published`: published networks on ImageNet, to compare with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.render import table

if TYPE_CHECKING:
    from hnas.studies.findings.published import Published


@click.command()
@options.json
def published(as_json: bool) -> None:
    """List published networks on ImageNet, each number with its source.

    Top-1 accuracy in percent, parameters and FLOPs (multiply-accumulates) are as published. If hnas
    can build a network, the table also has its own counts.

    --json prints a list of objects: `name`, `family`, `top1`, `params`, `flops`, `macs` (the
    same as a number), `image`, `source`, and `exact` (`macs`, `params`) or null.
    """
    from hnas.studies.findings.published import published as networks

    if as_json:
        click.echo(json.dumps([_as_json(network) for network in networks()]))
        return
    table(
        ("network", "top-1", "params", "FLOPs", "image", "hnas: params", "MACs", "source"),
        [
            (
                *(n.name, f"{n.top1:.1f}", n.params, n.flops, n.image),
                *((n.exact.params, n.exact.macs) if n.exact else (None, None)),
                n.source,
            )
            for n in networks()
        ],
    )


def _as_json(network: Published) -> dict[str, Any]:
    names = ("name", "family", "top1", "params", "flops", "macs", "image", "source")
    exact = network.exact and vars(network.exact)
    return {name: getattr(network, name) for name in names} | {"exact": exact}
