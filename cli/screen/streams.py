"""Standard streams as a service, a cron job or an old terminal leaves them: none stops a command.

What an encoding cannot show becomes a replacement character. A closed stream is /dev/null. If the
reader of a pipe has gone (`| head`), the command does its work and only its words are lost. A
warning of a library becomes a line of its words, without paths and code.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from typing import TextIO

import click

ELSEWHERE = re.compile(r".*/(?:site|dist)-packages/([^/.]+)")


def prepare() -> None:
    """Makes the standard streams of this process usable, whatever they are."""
    _open_closed()
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - until the process ends
    sys.stdout = _forgiving(sys.stdout, 1)
    sys.stderr = _forgiving(sys.stderr, 2)
    if not sys.warnoptions:  # -W and PYTHONWARNINGS are for developers
        warnings.showwarning = _show


def _open_closed() -> None:
    """A closed descriptor would be given to the next file that is opened."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


class _Pipe(io.FileIO):
    """A descriptor to write to that turns into /dev/null once nobody reads it."""

    def write(self, data: object) -> int:
        with contextlib.suppress(BrokenPipeError):
            return super().write(data)  # type: ignore[arg-type]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return len(memoryview(data).cast("B"))  # type: ignore[arg-type]


def _forgiving(stream: TextIO | None, descriptor: int) -> TextIO:
    """Another stream in the place of one, with its encoding and its buffering."""
    lines, at_once = descriptor == 2, False
    encoding = "utf-8"
    if isinstance(stream, io.TextIOWrapper):
        stream.flush()
        lines, at_once = stream.line_buffering, stream.write_through
        encoding = stream.encoding
    pipe = _Pipe(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        pipe if at_once else io.BufferedWriter(pipe),
        encoding=encoding,
        errors="replace",
        line_buffering=lines,
        write_through=at_once,
    )


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Instead of `warnings.showwarning`, which prints a path and a line of code."""
    library = ELSEWHERE.match(filename.replace("\\", "/"))
    words = " ".join(str(message).split())
    click.echo(f"note: {f'{library[1]}: ' if library else ''}{words}", err=True)
