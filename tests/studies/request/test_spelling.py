"""Errors that Python gets: options are arguments, commands stay commands."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from hnas.cli.main import SECTIONS, load
from hnas.errors import BusyError
from hnas.studies.api import Asked
from hnas.studies.request.spelling import SWITCHES, as_arguments, for_python


@pytest.mark.parametrize(
    ("said", "spelt"),
    [
        ("Wait for it, or use another --run", "Wait for it, or use another run"),
        ("--to net: net.py is there: --force to", "to net: net.py is there: force=True to"),
        ("leave them out: --skip-bad-images", "leave them out: skip_bad_images=True"),
        ("stage1.init_from (--init-from)", "stage1.init_from (init_from)"),
        (
            "Finish it: hnas search --run runs/a.b, or use another --run",
            "Finish it: hnas search --run runs/a.b, or use another run",
        ),
        (
            "hnas data pack p --to PACK --image 8; then give --data PACK",
            "hnas data pack p --to PACK --image 8; then give data PACK",
        ),
        ("hnas search --data NEW. Without --data", "hnas search --data NEW. Without data"),
        ("photos--old and a -- b", "photos--old and a -- b"),
    ],
)
def test_options_are_arguments_and_commands_stay(said: str, spelt: str) -> None:
    assert as_arguments(said) == spelt


def test_an_error_keeps_its_kind_and_where_it_came_from() -> None:
    @for_python
    def busy(run: str) -> None:
        raise BusyError(f"{run} is held: use another --run")

    with pytest.raises(BusyError, match=r"^mine is held: use another run$") as caught:
        busy("mine")
    assert caught.traceback[-1].name == "busy"
    assert busy.__name__ == "busy"


def test_switches_are_those_of_the_commands_and_of_python() -> None:
    params = [param for names in SECTIONS.values() for name in names for param in load(name).params]
    flags = {opt[2:] for p in params if getattr(p, "is_flag", False) for opt in p.opts}
    python = {name.replace("_", "-") for name, of in get_type_hints(Asked).items() if of is bool}
    assert python | {"force"} == SWITCHES <= flags
