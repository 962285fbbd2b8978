"""`hnas latency`: a network's latency on this machine."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hnas.cli.screen import options
from hnas.cli.screen.networks import network, read_network
from hnas.cli.screen.render import table


@click.command()
@network
@click.option("--batch", type=options.COUNT, default=1, help="Images at a time.")
@click.option("--rounds", type=options.COUNT, default=50, help="Passes of each network.")
@click.option("--threads", type=options.COUNT, show_default="PyTorch's choice", help="CPU threads.")
@options.json
@options.device
def latency(
    source: Path, batch: int, rounds: int, threads: int | None, as_json: bool, device: str
) -> None:
    """Measure a network's latency against all-global networks.

    The network is the winner of a finished RUN, or one that `hnas export` wrote (a FILE or its
    folder). The all-global networks have its width, or nearly its MACs. All run in turn, in one
    process, in fp32. The table has the median, the lowest and the highest latency.

    --json prints one object: `device`, `torch`, `threads`, `batch`, `rounds`, and `networks`, each
    with `name`, `macs`, `params`, and the seconds of a batch, `median`, `lowest`, `highest`.

    \b
    Examples:
      hnas latency runs/digits
      hnas latency net --batch 64 --threads 1 --device cpu
    """
    import torch

    from hnas.cost.flops import cost
    from hnas.cost.latency import latencies, references
    from hnas.device import choose, describe

    chosen = choose(device)
    if threads is not None:
        torch.set_num_threads(threads)
    model = read_network(source, chosen).model
    frame = model.frame
    macs = cost(frame, model.arch).macs
    models = {"this network": model, **references(frame, macs)}
    images = torch.zeros(batch, frame.channels, frame.image, frame.image, device=chosen)
    measured = latencies(models, images, rounds=rounds)
    costs = {name: cost(each.frame, each.arch) for name, each in models.items()}
    about = describe(chosen)
    if as_json:
        networks = [
            {"name": name, **asdict(costs[name]), **asdict(found)}
            for name, found in measured.items()
        ]
        click.echo(json.dumps({**about, "batch": batch, "rounds": rounds, "networks": networks}))
        return
    words = "thread" if about["threads"] == "1" else "threads"
    click.echo(
        f"On {about['device']}, {about['threads']} CPU {words}, torch {about['torch']}, fp32, "
        f"batch {batch}: milliseconds, median of {rounds} alternating passes"
    )
    own = measured["this network"].median
    table(
        ("network", "MACs", "params", "ms", "lowest", "highest", "relative"),
        [
            (
                name,
                costs[name].macs,
                costs[name].params,
                *(f"{1000 * s:.3f}" for s in (found.median, found.lowest, found.highest)),
                f"{found.median / own:.2f} x",
            )
            for name, found in measured.items()
        ],
    )
