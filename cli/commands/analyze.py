"""`hnas analyze`: traits that a run's best networks share, compared with the paper's network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.cli.screen.render import command, table
from hnas.errors import InputError, StateError

if TYPE_CHECKING:
    from hnas.studies.findings.findings import Findings

SHOWN = 8
"""Most parameters shown for each study; --json has all."""


@click.command()
@options.run
@click.option(
    "--elites",
    "rule",
    type=click.Choice(["top", "front", "retrained"]),
    default="top",
    help="Networks to analyze: a generation of highest score, the Pareto front, or the retrained "
    "networks.",
)
@click.option(
    "--published", "alone", is_flag=True, help="Show only the published GLiT-Tiny, without a run."
)
@options.chance
@click.option(
    "--to",
    "file",
    type=options.FILE,
    metavar="FILE",
    help="Draw the findings to FILE.svg, FILE.png or FILE.pdf.",
)
@options.force
@options.json
@options.storage
def analyze(
    folder: Path | None,
    rule: str,
    alone: bool,
    seed: int,
    file: Path | None,
    force: bool,
    as_json: bool,
    storage: str | None,
) -> None:
    """Show what the best networks of a run have in common.

    The measures are those that the paper reports of its own network: how many blocks are global,
    mixed or local; which kernels survive; how local and global change with depth; which parameters
    the score depends on. Each share is compared with that of as many random networks within the
    budget: a share that does not differ from chance is no finding. The last rows show the published
    GLiT-Tiny by the same measures; after them, sentences say what differs from chance.

    The best networks of one search are relatives, but the intervals assume independent blocks, so
    they are too narrow. The command does not disturb a running search.

    --json prints one object: `run`, `rule`; `studies` and `published`, each with `of`, `elites`,
    `networks`, `trials`, `kinds` and `kernels` (`what`, `count`, `of`, `low`, `high`, `chance`,
    `chance_low`, `chance_high`, `p`, `verdict`), `depth`, `depth_chance`, `order` (`trend`,
    `trend_p`, `turns`, `turns_chance`, `turns_p`, `neighbours`) and `importances` (`method`,
    `values`, `chance`). A missing value is null or empty.
    """
    if file is not None and file.suffix not in (".svg", ".png", ".pdf"):
        raise InputError(f"--to must end in .svg, .png or .pdf, got {str(file)!r}")
    if alone and folder is not None:
        raise click.UsageError("--published takes no run: leave one of the two out.")

    from hnas.studies.findings.published import published_findings

    run, found = (None, []) if alone else _found(folder, storage, rule, seed)
    published = published_findings()
    if as_json:
        shown = {"studies": [*map(_as_json, found)], "published": _as_json(published)}
        click.echo(json.dumps({"run": run, "rule": rule, **shown}))
    else:
        for i, findings in enumerate((*found, published)):
            click.echo("\n" * bool(i), nl=False)
            _show(findings)
        _conclude(found)
    if file is not None:
        from hnas.studies.figures.style import save
        from hnas.studies.findings.figure import figure

        save(figure(found, published), file, force=force)
        click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes)", err=as_json)


def _found(
    folder: Path | None, storage: str | None, rule: str, seed: int
) -> tuple[str, list[Findings]]:
    """The run's folder and the findings on its studies. Raises StateError if there are none."""
    from hnas.studies.findings.findings import find
    from hnas.studies.run.status import read_status

    run = options.find_run(folder, storage)
    status = read_status(run)
    if not status.searched:
        raise StateError(
            f"the run {run.folder} has no finished trials to analyze. "
            f"Search first: {command('search', '--run', run.folder)}"
        )
    retrained = {network.arch for network in status.result.candidates} if status.result else set()
    found = [find(study, rule, retrained=retrained, seed=seed) for study in status.searched]
    if not (known := [findings for findings in found if findings is not None]):
        raise StateError(
            f"the run {run.folder} has no retrained networks yet. "
            f"Finish it: {command('search', '--run', run.folder)}, or use --elites top"
        )
    return str(run.folder), known


def _as_json(findings: Findings) -> dict[str, Any]:
    shown = asdict(findings)
    for name in ("kinds", "kernels"):
        shares = getattr(findings, name)
        shown[name] = [{**asdict(share), "verdict": share.verdict} for share in shares]
    return shown


def _show(findings: Findings) -> None:
    of = f" of {findings.trials:,} trials" if findings.trials else ""
    click.echo(f"{findings.of}: {findings.elites}{of}")
    shares = (*findings.kinds, *findings.kernels)
    if shares:
        table(
            ("blocks", "count", "of", "share", "95% interval", "chance", "95% of chance", "p", ""),
            [
                (
                    *(s.what, s.count, s.of, s.share, _span(s.low, s.high)),
                    *(s.chance, _span(s.chance_low, s.chance_high), f"{s.p:.3f}", s.words),
                )
                for s in shares
            ],
        )
    drawn = " ".join(f"{share:.2f}" for share in findings.depth)
    click.echo(f"global groups by block, first to last: {drawn}")
    if (order := findings.order) is not None:
        click.echo(
            f"more global with depth: Spearman {order.trend:+.2f}, p = {order.trend_p:.3f}\n"
            f"turns between mostly local and mostly global: {order.turns:.2f} of "
            f"{order.neighbours}, {order.turns_chance:.2f} by chance, p = {order.turns_p:.3f}"
        )
    if (found := findings.importances) is not None:
        unit = "share of the score's variance" if found.method == "fANOVA" else "divergence"
        click.echo(f"importance for the score ({found.method}, {unit}; chance {found.chance:.4f}):")
        shown = list(found.values.items())[:SHOWN]
        click.echo("  " + "  ".join(f"{name} {value:.4f}" for name, value in shown))


def _conclude(found: list[Findings]) -> None:
    """What the tables come to, in sentences."""
    if found:
        from hnas.studies.findings.conclusion import CAUTION, conclusion

        click.echo("\nIn short:")
        for said in (*map(conclusion, found), CAUTION):
            click.echo(f"  {said}")


def _span(low: float, high: float) -> str:
    return f"{low:.2f} to {high:.2f}"
