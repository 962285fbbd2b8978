"""`hnas`: the group of all commands.

A command is imported when it runs, so that `hnas --help` answers at once. An HnasError, or an error
of the system such as a full disk, becomes one message on stderr and exit code 2, as a wrong option
does. Ctrl-C exits with 130.
"""

from importlib import import_module
from typing import Any

import click

from hnas import __version__
from hnas.cli.screen import processes, streams
from hnas.cli.screen.interrupt import ARGS
from hnas.cli.screen.title import hide_passwords
from hnas.errors import HnasError
from hnas.machine import wait_briefly

SECTIONS = {
    "Search": {
        "search": "Search for an architecture, retrain the best and test the winner.",
        "retrain": "Train the best of a finished search by themselves.",
        "worker": "Score architectures for searches that run with --workers.",
    },
    "Look at a run": {
        "status": "Show what a run has done and what comes next.",
        "report": "Write a report on a run, as one file.",
        "dashboard": "Show a run's studies in the browser.",
        "analyze": "Show what the best networks of a run have in common.",
    },
    "Take a network away": {
        "export": "Write a run's network to files of its own.",
        "predict": "Predict the classes of image files, with probabilities.",
        "import": "Convert published weights (GLiT, DeiT, ViT) to files of hnas.",
    },
    "Measure": {
        "latency": "Measure a network's latency against all-global networks.",
        "baselines": "Show what simple models reach on your images, without a search.",
        "rank": "Measure how far a run's scores can be trusted.",
        "reproduce": "Score a run's winner and a sample of its trials again.",
        "compare": "Compare strategies or plans over several seeds.",
        "cost": "Count the MACs and parameters of an architecture.",
        "space": "Count the architectures that a search chooses from.",
        "published": "List published networks on ImageNet, each number with its source.",
    },
    "Prepare": {
        "doctor": "Check that this machine can search.",
        "init": "Write a plan to edit.",
        "data": "Pack images that are too many for memory, and check a pack.",
    },
}
"""The sections of the help: the commands, each with its help in one line."""
COMMANDS = {name: text for section in SECTIONS.values() for name, text in section.items()}
ELSEWHERE = {
    "import": "import_weights:import_weights",
    "cost": "architecture:cost",
    "space": "architecture:space",
}
"""Module in `hnas.cli.commands` and name there of each command that is not NAME:NAME."""


def load(name: str) -> click.Command:
    """A command by its name, imported now."""
    module, attribute = ELSEWHERE.get(name, f"{name}:{name}").split(":")
    command: click.Command = getattr(import_module(f"hnas.cli.commands.{module}"), attribute)
    return command


class Failure(click.ClickException):
    """An HnasError on its way to the screen."""

    exit_code = 2


class Commands(click.Group):
    """A group that knows each command by its name and one line of help, and imports it on use."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, text in COMMANDS.items():
            self.add_command(click.Command(name, help=text))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in section.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGS] = tuple(args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name is not None else command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (HnasError, OSError) as error:
            raise Failure(str(error)) from error
        except (KeyboardInterrupt, click.Abort) as interrupt:  # Abort: while a question waits
            click.echo(f"\n{str(interrupt) or 'Interrupted.'}", err=True)
            ctx.exit(130)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, "-V", "--version", prog_name="hnas")
def hnas() -> None:
    """Find a Global-Local image Transformer for your images and compute budget."""


def main() -> None:
    """The console script. If a launcher started several processes, each of them runs it."""
    wait_briefly()
    hide_passwords()
    streams.prepare()
    if processes.are_several():
        processes.run(hnas)
    else:
        hnas(prog_name="hnas")


if __name__ == "__main__":
    main()
