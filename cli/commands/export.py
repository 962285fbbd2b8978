"""`hnas export`: a run's network in files of its own."""

from pathlib import Path

import click

from hnas.cli.screen import options


@click.command()
@options.run
@click.option(
    "--to",
    "file",
    required=True,
    type=options.FILE,
    metavar="FILE",
    help="Name of the files: FILE.safetensors has the weights, FILE.json everything else, FILE.py "
    "the code that reads both without hnas.",
)
@click.option("--pt2", is_flag=True, help="Also write FILE.pt2, a program of torch.export.")
@click.option("--onnx", is_flag=True, help="Also write FILE.onnx (needs the extra hnas[onnx]).")
@click.option("--card", is_flag=True, help="Also write FILE.md, a model card.")
@options.force
@options.device
def export(
    folder: Path | None, file: Path, pt2: bool, onnx: bool, card: bool, force: bool, device: str
) -> None:
    """Write a run's network to files of its own.

    The network is the winner of a finished search, as plain PyTorch. The run's images are not
    needed, and nothing is trained. FILE.py is all the code it needs: `from FILE import load`, or
    `python FILE.py photo.jpg`. All files are written, or none. See docs/export.md.

    \b
    Examples:
      hnas export runs/digits --to digits_net
      hnas export runs/digits --to digits_net --onnx --pt2
    """
    from hnas.studies.run.folder import shared_run
    from hnas.studies.run.result import finished_result

    run = shared_run(folder or options.newest())
    finished_result(run)  # reports a missing or damaged result before torch is imported

    from hnas.device import choose
    from hnas.exchange.export import save
    from hnas.studies.run.networks import winner

    network = winner(run)
    network.model.to(choose(device))
    also = ["py", *(["pt2"] if pt2 else []), *(["onnx"] if onnx else [])]
    written = [*save(network, file, also=also, force=force)]
    if card:
        from hnas.exchange.export import named
        from hnas.persist.ours import write_ours
        from hnas.studies.report.card import card as model_card

        path = named(file, "md")
        write_ours({path: model_card(run, path.stem).encode()}, to=file, force=force)
        written.append(path)
    for path in written:
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
