"""`hnas published`: published networks on ImageNet, to compare with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen.options import json_option
from hnas.cli.screen.render import table

if TYPE_CHECKING:
    from hnas.studies.findings.published import Published


@click.command()
@json_option
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
                network.name,
                f"{network.top1:.1f}",
                network.params,
                network.flops,
                network.image,
                *((exact.params, exact.macs) if (exact := network.exact) else (None, None)),
                network.source,
            )
            for network in networks()
        ],
    )


def _as_json(network: Published) -> dict[str, Any]:
    exact = network.exact
    return {
        "name": network.name,
        "family": network.family,
        "top1": network.top1,
        "params": network.params,
        "flops": network.flops,
        "macs": network.macs,
        "image": network.image,
        "source": network.source,
        "exact": exact and {"macs": exact.macs, "params": exact.params},
    }
