"""`hnas export`: a run's network, without the run."""

from __future__ import annotations

from pathlib import Path

import click

from hnas.cli.screen.options import device_option


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
def export(folder: Path, file: Path, pt2: bool, onnx: bool, device: str) -> None:
    """Write a run's network to files of its own.

    The winner of a finished search, as a plain PyTorch network. The run's images are not needed,
    and nothing is trained. FILE.py is all the code it needs: `from FILE import load`, or
    `python FILE.py photo.jpg`. docs/export.md says more.

    \b
    Examples:
      hnas export runs/digits --to digits_net
      hnas export runs/digits --to digits_net --onnx --pt2
    """
    from hnas.studies.run.folder import shared_run
    from hnas.studies.run.result import finished_result

    run = shared_run(folder)
    finished_result(run)  # one that is missing or damaged is told before torch is imported

    from hnas.device import choose
    from hnas.exchange.export import save, save_module, save_onnx, save_pt2
    from hnas.studies.run.networks import winner

    network = winner(run)
    network.model.to(choose(device))
    written = [*save(network, file), save_module(file)]
    if pt2:
        written.append(save_pt2(network, file))
    if onnx:
        written.append(save_onnx(network, file))
    for path in written:
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
