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
@click.option(
    "--int8",
    is_flag=True,
    help="Also write FILE.int8.onnx, with matrix products in 8-bit integers, and compare it on "
    "held-out images (needs the extra hnas[onnx]).",
)
@click.option("--card", is_flag=True, help="Also write FILE.md, a model card.")
@options.force
@options.device
@options.allow_code
def export(folder: Path | None, file: Path, device: str, **asked: bool) -> None:
    """Write a run's network to files of its own.

    The network is the winner of a finished search, as plain PyTorch. The run's images are not
    needed, but by --int8 to compare, and nothing is trained. FILE.py is all the code it needs:
    `from FILE import load`, or `python FILE.py photo.jpg`. All files are written, or none. See
    docs/export.md.

    \b
    Examples:
      hnas export runs/digits --to digits_net
      hnas export runs/digits --to digits_net --onnx --pt2
    """
    from hnas.studies.run.folder import shared_run
    from hnas.studies.run.result import finished_result

    run = shared_run(folder or options.newest())
    if asked["int8"]:  # which loads the run's images
        options.trust(run, asked["allow_code"])
    finished_result(run)  # reports a missing or damaged result before torch is imported

    from hnas.device import choose
    from hnas.exchange.export import as_onnx, named, save
    from hnas.studies.run.networks import winner

    network, made, said = winner(run), dict[str, bytes](), ""
    network.model.to(choose(device))
    if asked["onnx"] or asked["int8"]:
        graph = as_onnx(network)
        made |= {"onnx": graph} if asked["onnx"] else {}
    if asked["int8"]:
        from hnas.exchange.quantise import quantised
        from hnas.studies.run.int8 import compared

        made["int8.onnx"] = quantised(graph)
        said = compared(run, network, graph, made["int8.onnx"])
    if asked["card"]:
        from hnas.studies.report.card import card

        made["md"] = card(run, named(file, "md").stem).encode()
    also = ["py", *(["pt2"] if asked["pt2"] else [])]
    for path in save(network, file, also=also, made=made, force=asked["force"]):
        click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes)")
    if said:
        click.echo(said)
