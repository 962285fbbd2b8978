"""`hnas predict`: the classes of image files by a found network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.cli.screen import options
from hnas.cli.screen.networks import network_and_images, read_network
from hnas.cli.screen.render import table
from hnas.errors import InputError

if TYPE_CHECKING:
    import torch

    from hnas.data.sources.files import File


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

    A FOLDER with one folder a class gives the accuracy, in all and of each class, instead of a list
    of images.

    --json prints a list, in the order of the images that could be read, of objects with `image` and
    `classes`, a list of `class` and `probability` (0 to 1), the likeliest first; and with `shows`,
    the class of the folder that the image lies in, if it lies in one.

    \b
    Examples:
      hnas predict runs/digits photo.png
      hnas predict net photos/*.jpg --top 1 --json
      hnas predict runs/photos more      accuracy by class
    """
    from hnas.data.sources.folders import files_at
    from hnas.device import choose
    from hnas.exchange.predict import likeliest, of_files

    network, refused = read_network(source, choose(device)), list[InputError]()

    def refuse(error: InputError) -> None:
        refused.append(error)
        click.echo(f"Error: {error}", err=True)

    files = [file for path in images for file in files_at(path, network.classes)]
    found = list(of_files(network, files, refuse))
    named = [(file, likeliest(row, network.classes, top)) for file, row in found]
    if as_json:
        shown = []
        for file, best in named:
            classes = [{"class": name, "probability": p} for name, p in best]
            shows = {"shows": network.classes[file.label]} if file.label >= 0 else {}
            shown.append({"image": file.path, "classes": classes, **shows})
        click.echo(json.dumps(shown))
    else:
        lines = [
            ("" if i else file.path, name, p)
            for file, best in named
            if file.label < 0
            for i, (name, p) in enumerate(best)
        ]
        if lines:
            table(("image", "class", "probability"), lines)
        _show_accuracy([one for one in found if one[0].label >= 0], network.classes)
    if refused:
        click.get_current_context().exit(2)


def _show_accuracy(found: Sequence[tuple[File, torch.Tensor]], classes: Sequence[str]) -> None:
    """Prints the accuracy on images whose class is known, in all and by class, the worst first."""
    from hnas.studies.run.confusion import Confusion
    from hnas.studies.run.ties import standard_error

    if not found:
        return
    shown, given = [file.label for file, _ in found], [int(row.argmax()) for _, row in found]
    confusion, n = Confusion.of(shown, given, len(classes)), len(found)
    rows = []
    for label in dict.fromkeys(shown):
        images, right = confusion.of_class(label), confusion.right(label)
        wrong = {k: v for k, v in confusion.rows[label].items() if k != label}
        most = classes[max(wrong, key=lambda k: wrong[k])] if wrong else None
        rows.append((classes[label], images, right, right / images, most))
    rows.sort(key=lambda row: row[3])
    table(("class", "images", "right", "accuracy", "most often taken for"), rows)
    accuracy = sum(row[2] for row in rows) / n
    click.echo(f"\nAccuracy: {accuracy:.4f} +- {standard_error(accuracy, n):.4f} on {n:,} images.")
