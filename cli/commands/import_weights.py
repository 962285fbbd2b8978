"""`hnas import`: published weights as a network of hnas."""

from pathlib import Path

import click

from hnas.cli.commands.architecture import cost_table
from hnas.cli.screen import options

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of each channel, 0 to 1, that DeiT and GLiT normalise their images with."""


@click.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "file",
    required=True,
    type=options.FILE,
    metavar="FILE",
    help="Name of the files: FILE.safetensors has the weights, FILE.json everything else.",
)
@click.option("--groups", default=3, metavar="N", help="Head groups a block.")
@click.option(
    "--heads",
    type=int,
    show_default="d / (64 x groups), for heads 64 wide",
    help="Attention heads a group.",
)
@options.force
def import_weights(source: Path, file: Path, groups: int, heads: int | None, force: bool) -> None:
    """Convert published weights (GLiT, DeiT, ViT) to files of hnas.

    FILE is a state dict of GLiT's release, DeiT or a plain ViT, in .safetensors or as torch.save
    writes it; reading it runs no code. The shapes of the weights tell the network. Its images are
    assumed to be normalised as ImageNet's, and its classes are numbered.
    """
    from hnas.errors import InputError
    from hnas.exchange.export import Network, named, save
    from hnas.exchange.import_weights import load_weights, read_weights

    if source.resolve() == named(file, "safetensors").resolve():
        raise InputError(f"--to {file} would replace the file to be read: give another name")
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
    classes = tuple(map(str, range(frame.classes)))
    network = Network(model=model, classes=classes, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    written = save(network, file, force=force)
    sizes = f"{frame.image} x {frame.image} pixels, {frame.N} x {frame.heads} heads"
    cost_table(frame, model.arch, sizes)
    for path in written:
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
