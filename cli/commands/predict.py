"""`hnas predict`: the classes of image files by a found network."""

import json
from pathlib import Path

import click

from hnas.cli.screen import options
from hnas.cli.screen.networks import network_and_images, read_network
from hnas.cli.screen.render import table
from hnas.errors import InputError

BATCH = 64
"""Images at a time."""


@click.command()
@network_and_images
@click.option("--top", type=options.COUNT, default=5, help="Classes for each image.")
@options.json
@options.device
def predict(source: Path, images: tuple[Path, ...], top: int, as_json: bool, device: str) -> None:
    """Predict the classes of image files, with probabilities.

    The network is the winner of a finished RUN, or one that `hnas export` wrote: a FILE or its
    folder. The run's own images are not needed. Images are JPEG, PNG, WebP, BMP, TIFF, GIF and what
    else Pillow decodes; they are decoded, cropped, resized and normalised as in training. An image
    that cannot be read gives a message and exit code 2; the others are still predicted.

    --json prints a list, in the order of the images that could be read, of objects with `image` and
    `classes`, a list of `class` and `probability` (0 to 1), the likeliest first.

    \b
    Examples:
      hnas predict runs/digits photo.png
      hnas predict net photos/*.jpg --top 1 --json
    """
    import torch

    from hnas.data.sources.files import File, Size
    from hnas.data.sources.files import read as read_image
    from hnas.device import choose
    from hnas.exchange.predict import likeliest, probabilities

    network = read_network(source, choose(device))
    frame = network.model.frame
    size = Size(frame.image, frame.channels, network.background, network.interpolation)
    found: list[tuple[str, list[tuple[str, float]]]] = []
    failed = False
    for i in range(0, len(images), BATCH):
        read: list[tuple[str, torch.Tensor]] = []
        for file in images[i : i + BATCH]:
            try:
                read.append((str(file), read_image(File(str(file), 0), size)))
            except InputError as error:
                failed = True
                click.echo(f"Error: {error}", err=True)
        if read:
            rows = probabilities(network, torch.stack([pixels for _, pixels in read]))
            for (name, _), row in zip(read, rows, strict=True):
                found.append((name, likeliest(row, network.classes, top)))
    if as_json:
        shown = []
        for image, best in found:
            classes = [{"class": name, "probability": p} for name, p in best]
            shown.append({"image": image, "classes": classes})
        click.echo(json.dumps(shown))
    elif found:
        lines = [
            ("" if i else image, name, p)
            for image, best in found
            for i, (name, p) in enumerate(best)
        ]
        table(("image", "class", "probability"), lines)
    if failed:
        click.get_current_context().exit(2)
