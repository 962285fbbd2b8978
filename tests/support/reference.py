"""The help of all commands as one Markdown page: `make reference` writes docs/cli.md."""

from __future__ import annotations

import click

from hnas.cli.main import COMMANDS, SECTIONS, hnas, load

HEAD = """\
# Commands

The help of every command, as `hnas COMMAND --help` prints it. `make reference` writes this page.
For tab completion put `eval "$(_HNAS_COMPLETE=bash_source hnas)"` into `~/.bashrc`. Other shells
have `zsh_source` and `fish_source`.

"""


def reference() -> str:
    """The page."""
    group = click.Context(hnas, info_name="hnas", terminal_width=80, **hnas.context_settings)
    return HEAD + "\n".join(map(_links, SECTIONS)) + "".join(_section(group, n) for n in COMMANDS)


def _links(title: str) -> str:
    lines = (f"- [`hnas {n}`](#hnas-{n}): {text}\n" for n, text in SECTIONS[title].items())
    return f"{title}:\n\n{''.join(lines)}"


def _section(group: click.Context, name: str) -> str:
    command = load(name)
    context = click.Context(command, parent=group, info_name=name)
    section = f"\n## hnas {name}\n{_help(context)}"
    for inner, below in (command.commands if isinstance(command, click.Group) else {}).items():
        inside = click.Context(below, parent=context, info_name=inner)
        section += f"\n### hnas {name} {inner}\n{_help(inside)}"
    return section


def _help(context: click.Context) -> str:
    return f"\n```text\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    print(reference(), end="")
