"""`hnas export`: a run's network, without the run."""

from __future__ import annotations

from pathlib import Path

import click

from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.options import device_option, storage_option


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--to",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="FILE.safetensors has the weights, FILE.json all else, FILE.py reads them without hnas.",
)
@click.option("--pt2", is_flag=True, help="Write FILE.pt2 too, as torch.export does.")
@click.option("--onnx", is_flag=True, help="Write FILE.onnx too (needs the extra hnas[onnx]).")
@device_option
@storage_option
def export(
    folder: Path, file: Path, pt2: bool, onnx: bool, device: str, storage: str | None
) -> None:
    """Write a run's network to files of its own.

    The winner of a finished search, as a plain PyTorch network. FILE.py is all the code it needs:
    `from FILE import load`, or `python FILE.py photo.jpg`. docs/export.md says more.

    \b
    Examples:
      hnas export runs/digits --to digits_net
      hnas export runs/digits --to digits_net --onnx --pt2
    """
    from hnas.studies.run.folder import open_run
    from hnas.studies.run.result import read_result

    run = open_run(folder, storage=storage)
    read_result(run)  # a damaged one is told before torch is imported

    from hnas.device import choose
    from hnas.exchange.export import save, save_module, save_onnx, save_pt2
    from hnas.studies.search.search import Search

    with resumable(folder), run.hold():
        network = Search(run, choose(device)).winner()
    written = [*save(network, file), save_module(file)]
    if pt2:
        written.append(save_pt2(network, file))
    if onnx:
        written.append(save_onnx(network, file))
    for path in written:
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
