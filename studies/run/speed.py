"""The speed of a finished run's answer beside that of the all-global network, measured here.

Networks of equal FLOPs need not take equally long: `hnas search --objective latency`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hnas.studies.run.folder import Run
from hnas.studies.run.networks import stored_network
from hnas.studies.run.result import finished_result

if TYPE_CHECKING:
    import torch

    from hnas.cost.latency import Latency

ROUNDS = 20
"""Passes of each network."""
SLOWER = 1.1
"""How many times as long a pass must be to be called slower."""


def speeds(
    run: Run, device: torch.device, *, batch: int = 1, rounds: int = ROUNDS
) -> dict[str, Latency]:
    """Seconds of a pass of the winner and of the all-global network, run in turn in fp32.

    Raises StateError if the search is not finished, or the networks' weights are missing.
    """
    import torch

    from hnas.cost.latency import latencies

    result = finished_result(run)
    networks = (("winner", result.winner), ("all-global", result.all_global))
    models = {name: stored_network(run, network.key) for name, network in networks}
    net = run.plan.net
    images = torch.zeros(batch, net.channels, net.image, net.image, device=device)
    return latencies(models, images, rounds=rounds)


def in_words(found: Mapping[str, Latency], device: str, objective: str) -> str:
    """The speeds in a sentence or two."""
    ours, theirs = (found[name].median for name in ("winner", "all-global"))
    said = (
        f"One image takes the winner {1e3 * ours:.3g} ms and the all-global network "
        f"{1e3 * theirs:.3g} ms on {device}, one at a time."
    )
    if objective == "flops" and ours > SLOWER * theirs:
        said += " If time counts more than FLOPs: hnas search --objective latency."
    return said
