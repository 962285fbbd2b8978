"""`hnas import`: published weights as a network of hnas's own."""

from __future__ import annotations

from pathlib import Path

import click

from hnas.cli.commands.architecture import cost_table

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""By channel, in units of 0 to 1: what the images of DeiT and GLiT are normalised with."""


@click.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="FILE.safetensors gets the weights, FILE.json all else.",
)
@click.option("--groups", default=3, metavar="N", help="Head groups a block [3].")
@click.option(
    "--heads", type=int, help="Attention heads a group [heads are 64 wide: d / (64 x groups)]."
)
def import_weights(source: Path, file: Path, groups: int, heads: int | None) -> None:
    """Read published weights (GLiT's release, DeiT, ViT) into files of hnas.

    From a state dict in .safetensors or as torch.save writes it, read without running code in it.
    What the network is like is inferred from the weights' shapes. Its images are taken to be
    normalised as ImageNet's are, its classes are called by number.
    """
    from hnas.errors import InputError
    from hnas.exchange.export import Network, save
    from hnas.exchange.import_weights import load_weights, read_weights

    if source.resolve() == file.with_suffix(".safetensors").resolve():
        raise InputError(f"--to {file} would replace the file that is read: give another name")
    weights = read_weights(source)
    try:
        model = load_weights(weights, N=groups, heads=heads)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    frame = model.frame
    if frame.channels != len(IMAGENET_MEAN):
        raise InputError(
            f"{source}: images must have {len(IMAGENET_MEAN)} channels to be normalised as "
            f"ImageNet's, got {frame.channels}. Load it in Python: "
            "hnas.exchange.import_weights.load_weights"
        )
    network = Network(
        model=model,
        classes=tuple(map(str, range(frame.classes))),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
    written = save(network, file)
    cost_table(
        frame, model.arch, f"{frame.image} x {frame.image} pixels, {frame.N} x {frame.heads} heads"
    )
    for path in written:
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
