"""`hnas`: the group of all commands.

A command that is asked for is imported when it runs, so that `hnas --help` is there at once. What a
command raises as HnasError, and what the system refuses (a full disk), becomes one message on
stderr and exit code 2, as a wrong option does. Ctrl-C exits with 130; where the reader has gone
(`| head`) it ends quietly.
"""

from __future__ import annotations

import errno
from importlib import import_module
from typing import Any

import click

from hnas import __version__
from hnas.cli.screen import processes
from hnas.cli.screen.interrupt import ARGS
from hnas.errors import HnasError

COMMANDS = {
    "search": (
        "hnas.cli.commands.search:search",
        "Search an architecture: all stages, retraining, the test.",
    ),
    "worker": (
        "hnas.cli.commands.worker:worker",
        "Score for searches that were started with --workers.",
    ),
    "retrain": (
        "hnas.cli.commands.retrain:retrain",
        "Train the best of a finished search from scratch.",
    ),
    "rank": ("hnas.cli.commands.rank:rank", "Measure how far a run's scores can be trusted."),
    "export": ("hnas.cli.commands.export:export", "Write a run's network to files of its own."),
    "predict": (
        "hnas.cli.commands.predict:predict",
        "Tell the classes of image files, with probabilities.",
    ),
    "latency": ("hnas.cli.commands.latency:latency", "Measure a network beside all-global ones."),
    "import": (
        "hnas.cli.commands.import_weights:import_weights",
        "Read published weights (GLiT's release, DeiT, ViT) into files of hnas.",
    ),
    "compare": (
        "hnas.cli.commands.compare:compare",
        "Compare strategies, or plans, over several seeds.",
    ),
    "status": ("hnas.cli.commands.status:status", "Show what a run has done and what is next."),
    "analyze": (
        "hnas.cli.commands.analyze:analyze",
        "Ask a run what the paper reports of its own network.",
    ),
    "report": ("hnas.cli.commands.report:report", "Write what a run has found as one file."),
    "published": (
        "hnas.cli.commands.published:published",
        "List published networks on ImageNet, each number with its source.",
    ),
    "reproduce": (
        "hnas.cli.commands.reproduce:reproduce",
        "Score a run's winner and a sample of its trials again.",
    ),
    "dashboard": ("hnas.cli.commands.dashboard:dashboard", "Show a run's studies in the browser."),
    "doctor": ("hnas.cli.commands.doctor:doctor", "Check that this machine can search."),
    "init": ("hnas.cli.commands.init:init", "Write a plan to edit, out of a preset."),
    "data": (
        "hnas.cli.commands.data:data",
        "Pack images that are too many for memory, and look at a pack.",
    ),
    "cost": ("hnas.cli.commands.architecture:cost", "Count what an architecture costs."),
    "space": ("hnas.cli.commands.architecture:space", "Count the architectures of a search."),
}
"""For each command, in the order of the help: where it is, and its help in one line."""


class Failure(click.ClickException):
    """An HnasError on its way to the screen."""

    exit_code = 2


class Commands(click.Group):
    """Knows a command by name and one line of help, and imports it when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, text) in COMMANDS.items():
            self.add_command(click.Command(name, help=text))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGS] = tuple(args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            module, attribute = COMMANDS[name][0].split(":")
            command = getattr(import_module(module), attribute)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HnasError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly
            raise Failure(str(error)) from error
        except KeyboardInterrupt as interrupt:
            click.echo(f"\n{str(interrupt) or 'Interrupted.'}", err=True)
            ctx.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hnas")
def hnas() -> None:
    """Find a Global-Local image Transformer for your images and compute budget."""


def main() -> None:
    """The console script; of several processes that a launcher started, each runs it."""
    if processes.are_several():
        processes.run(hnas)
    else:
        hnas(prog_name="hnas")


if __name__ == "__main__":
    main()
