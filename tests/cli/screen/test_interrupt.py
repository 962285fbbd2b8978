"""The command line, as it is told to whoever wants to resume."""

from __future__ import annotations

import click
import pytest

from hnas.cli.screen.interrupt import ARGS, typed


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("--storage", "postgresql://me:hush@h/d"), "--storage 'postgresql://me:***@h/d'"),
        (("--storage=postgresql://me:hush@h/d",), "'--storage=postgresql://me:***@h/d'"),
        (("--storage", "postgresql:/me:hush@h/d"), "--storage 'postgresql***'"),
        (("--storage", "host=h password=hush"), "--storage '***'"),
        (("--data", "postgresql://me:hush@h/d"), "--data 'postgresql://me:***@h/d'"),
        (("photos", "--run", "my runs/a:b@c", "--seed=1"), "photos --run 'my runs/a:b@c' --seed=1"),
    ],
)
def test_a_password_is_not_in_it_and_the_rest_is(args: tuple[str, ...], shown: str) -> None:
    with click.Context(click.Command("hnas")) as context:
        context.meta[ARGS] = ("search", *args)
        assert typed() == f"hnas search {shown}"
