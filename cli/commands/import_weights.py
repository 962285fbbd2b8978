"""`hnas import`: published weights as a network of hnas."""

from pathlib import Path
from typing import Any

import click

from hnas.architecture.space import ACTIVATIONS
from hnas.cli.commands.architecture import cost_table
from hnas.cli.screen import options


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
@click.option(
    "--groups",
    type=int,
    metavar="N",
    help="Head groups a block.",
    show_default="3, if that divides the heads",
)
@click.option(
    "--heads",
    type=int,
    help="Attention heads a group.",
    show_default="as many as are 64 wide; timm's largest ViTs have wider ones",
)
@click.option(
    "--activation",
    metavar="NAME",
    help=f"Activation of the FFN: {', '.join(ACTIVATIONS)}.",
    show_default="gelu",
)
@click.option(
    "--pool",
    metavar="NAME",
    help="What the classifier sees: class (the class token) or mean (of the patches).",
    show_default="class, if the weights have a class token",
)
@click.option(
    "--mean",
    callback=options.numbers,
    metavar="R,G,B",
    help="Mean of images, 0 to 1, by which they are normalised: one number, or one a channel.",
    show_default="0.5, as of most ViTs; ImageNet's for DeiT, DINO and GLiT",
)
@click.option(
    "--std",
    callback=options.numbers,
    metavar="R,G,B",
    help="Deviation of images, as --mean.",
    show_default="as --mean",
)
@options.force
def import_weights(source: Path, file: Path, force: bool, **asked: Any) -> None:
    """Convert published weights (GLiT, DeiT, ViT) to files of hnas.

    FILE is a state dict under the names of GLiT's release, timm or Hugging Face, in .safetensors or
    as torch.save writes it; reading it runs no code. The shapes of the weights tell the network.
    What they do not tell is taken as most published networks have it, and printed. Classes are
    numbered.

    \b
    Examples:
      hnas import vit.pth --to vit
      hnas import grey.pth --to grey --mean 0.5 --std 0.25
    """
    from hnas.errors import InputError
    from hnas.exchange.export import named, save
    from hnas.exchange.import_network import import_network
    from hnas.exchange.import_weights import Asked

    if source.resolve() == named(file, "safetensors").resolve():
        raise InputError(f"--to {file} would replace the file to be read: give another name")
    imported = import_network(source, Asked(**asked))
    written = save(imported.network, file, force=force)
    for words in imported.taken:
        click.echo(f"taken as: {words}")
    model = imported.network.model
    frame = model.frame
    sizes = f"{frame.image} x {frame.image} pixels, {frame.N} x {frame.heads} heads"
    cost_table(frame, model.arch, sizes)
    for path in written:
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
