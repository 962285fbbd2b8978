"""What keeps the many searches of these tests short."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.drawings import draw_once


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        draw_once(patch)
        yield
