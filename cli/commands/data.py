"""`hnas data`: packs of images that are too many for memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.render import show_next, table
from hnas.errors import InputError
from hnas.machine import cores

if TYPE_CHECKING:
    from hnas.data.sources.pack import Pack
    from hnas.data.sources.shards import Made

IMAGE = 224
"""Pixels a side, as ImageNet's networks have them."""

PACK = click.argument("folder", metavar="PACK", type=options.FOLDER)


@click.group()
def data() -> None:
    """Pack images that are too many for memory, and check a pack.

    A search holds its decoded images in memory; ImageNet at 224 pixels would take 200 GB. A pack
    holds the same images, decoded once, in files. `hnas search --data PACK` reads them while it
    trains, two batches ahead of the device. docs/imagenet.md shows the way from ImageNet to a
    network.
    """


@data.command("pack")
@click.argument("source", metavar="FOLDER")
@click.option(
    "--to",
    required=True,
    type=options.FOLDER,
    metavar="PACK",
    help="Folder of the pack: new, empty, or of an unfinished pack.",
)
@click.option(
    "--image", type=options.COUNT, show_default="224", help="Pixels a side: cut to squares."
)
@click.option(
    "--short-side",
    type=options.COUNT,
    help="Keep whole pictures instead, with at most so many pixels on the shorter side: random "
    "crops are then of all of the picture.",
)
@click.option(
    "--channels",
    type=click.Choice(["1", "3"]),
    show_default="3 if an image has colour",
    help="1 for grey images, 3 for colour.",
)
@click.option(
    "--processes",
    type=options.COUNT,
    default=cores,
    show_default="one for each core",
    help="Processes that decode images.",
)
@click.option(
    "--background",
    type=click.Choice(["white", "grey", "black"]),
    default="white",
    help="What transparent images are laid on.",
)
@click.option(
    "--interpolation",
    type=click.Choice(["bilinear", "bicubic"]),
    default="bilinear",
    help="How images are resized; bicubic is sharper.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Compare the content of all files with what was packed, not only size and time.",
)
@click.option(
    "--skip-bad-images",
    "skip_bad",
    is_flag=True,
    help="Leave out files that cannot be decoded, and list them, instead of failing.",
)
def pack_command(
    source: str,
    to: Path,
    image: int | None,
    short_side: int | None,
    channels: str | None,
    background: str,
    interpolation: str,
    **how: Any,
) -> None:
    """Decode images into a pack.

    FOLDER is a path or the name of a folder in $HNAS_DATA or ./data, with class folders, a table of
    files, tars or Parquet files; train and test (or val) stay apart. The pack has the pixels that
    `hnas search --data FOLDER` has at that size: cropped to the centre and resized. It takes images
    x channels x side x side bytes; the command checks the disk first. After an interruption the
    same command resumes. A finished pack may be moved.

    With --short-side it has whole pictures, a third more bytes than squares: training crops them at
    random to net.image, and data.crop_pct of the plan says what is seen without that.

    A pack follows its folder: the same command packs again what has changed, and only that.

    \b
    Examples:
      hnas data pack imagenet --to imagenet-256 --short-side 256 --interpolation bicubic
      hnas data pack photos --to photos-64 --image 64 --skip-bad-images
    """
    from hnas.data import survey
    from hnas.data.size import Size
    from hnas.data.sources.load import listed
    from hnas.data.sources.packing import pack
    from hnas.studies.run.paths import here

    source = here(source)
    found = listed(source)
    if found is None:
        raise InputError(
            f"a pack is made from a folder with one folder of image files a class, a table of "
            f"files, tars or Parquet files, got {source!r}; other data is small: give it to hnas "
            "search as it is"
        )
    for note in found.notes:
        click.echo(f"note: {note}")
    colours = int(channels) if channels else survey(source).channels
    if image and short_side:
        raise InputError(
            f"--image {image} cuts squares, --short-side {short_side} keeps pictures whole: give "
            "one of them"
        )
    side, whole = image or short_side or IMAGE, bool(short_side)
    size = Size(side, colours, background, interpolation, whole=whole)
    progress = _Progress()
    with resumable(to), progress.display:
        pack(found, to, size, on_shard=progress.tell, **how)
    for name in progress.skipped:
        click.echo(f"left out, not an image: {name}")
    if progress.kept:
        click.echo(f"{progress.kept} shards were finished before.")
    _show(to)
    show_next("search", "--data", to)


class _Progress:
    """Progress of a packing, as a line or a bar, and its counts."""

    def __init__(self) -> None:
        from hnas.cli.screen.progress import display

        self.display = display()
        self.kept = self.made = self.images = 0
        self.skipped: list[str] = []
        self._began = time.monotonic()

    def tell(self, made: Made, done: int, shards: int) -> None:
        from hnas.cli.screen.progress import Step

        self.skipped += made.skipped
        if made.kept:
            self.kept += 1
            return
        self.made += 1
        self.images += made.images
        spent = max(time.monotonic() - self._began, 1e-9)
        words, each = f"{self.images / spent:,.0f} images/s", spent / self.made
        self.display.draw(
            Step(what="packing", unit="shard", done=done, total=shards, words=words, each=each)
        )


@data.command()
@click.argument("source", metavar="PACK|NAME|PATH")
def info(source: str) -> None:
    """Show what a pack, or other images, hold.

    Of images that are not packed it counts what a search would take, and tells what it would leave
    out and why. Nothing is decoded.

    \b
    Examples:
      hnas data info imagenet-224
      hnas data info photos
    """
    from hnas.data import survey
    from hnas.data.sources.pack import matches
    from hnas.studies.run.paths import here

    if matches(Path(source)):
        _show(Path(source))
        return
    source = here(source)
    found = survey(source)
    rows = {
        "training images": f"{found.images:,}",
        "held-out images": f"{found.held_out:,}" if found.held_out else "a share of these",
        "test images": "a part of their own" if found.own_test else "a share of these",
        "classes": found.classes,
        "pixels a side": found.side,
        "channels": found.channels,
    }
    table((source, ""), rows.items())
    for note in found.notes:
        click.echo(f"note: {note}")


def _show(folder: Path) -> None:
    from hnas.data.prepare import statistics

    found = _open(folder)
    rows = _about(found)
    measured = statistics(found.images("train").pixels)
    for name, values in zip(("mean of the training part", "deviation"), measured, strict=True):
        rows[name] = ", ".join(f"{value:.4f}" for value in values.tolist())
    table((str(folder), ""), rows.items())


def _about(pack: Pack) -> dict[str, Any]:
    """The facts of a pack."""
    from hnas.data.sources.pack_files import PARTS

    counts = {part: sum(len(s.labels) for s in pack.shards[part]) for part in PARTS}
    if not counts["held_out"]:
        del counts["held_out"]
    shards = [shard for part in PARTS for shard in pack.shards[part]]
    return {
        "source": pack.index.source,
        "shorter side, at most" if pack.index.whole else "image": pack.index.image,
        "channels": pack.index.channels,
        "resized": pack.index.interpolation,
        "classes": len(pack.index.classes),
        **counts,
        "left out": sum(len(shard.skipped) for shard in shards),
        "shards": len(shards),
        "bytes": sum(shard.nbytes(pack.index) for shard in shards),
        "decoder": ", ".join(sorted({shard.decoder for shard in shards})),
    }


def _open(folder: Path) -> Pack:
    from hnas.data.sources.pack import matches, open_pack

    if not matches(folder):
        raise InputError(f"{folder} is not a pack: it has no pack.json. Make one: hnas data pack")
    return open_pack(folder)


@data.command()
@PACK
@click.pass_context
def check(ctx: click.Context, folder: Path) -> None:
    """Check every file of a pack against its checksum, and its folder for changes.

    If the folder that was packed is still there, its files are compared by name and time with those
    that were packed. The exit code is 1 if a file of the pack has changed.

    \b
    Examples:
      hnas data check imagenet-224
    """
    from hnas.data.sources.load import changed as folder_changed
    from hnas.data.sources.pack import check as checked

    opened = _open(folder)
    if said := folder_changed(opened):
        click.echo(f"note: {said}")
    changed = [folder / name for name, holds in checked(opened) if not holds]
    for file in changed:
        click.echo(f"{file}: the pixels have changed since they were written")
    if changed:
        click.echo("Restore these files, or delete them and give the same hnas data pack again.")
        ctx.exit(1)
    click.echo("Every shard is as it was written.")
