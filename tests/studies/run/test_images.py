"""A run's images: what goes wrong while they are loaded is told."""

from __future__ import annotations

import pytest

from hnas.errors import StateError
from hnas.studies.plan.toml import load_preset
from hnas.studies.run import images


def test_memory_that_runs_out_while_loading_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs_out(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(images, "prepare", runs_out)
    with pytest.raises(StateError, match=r"memory of this machine is not enough.*hnas data pack"):
        images.prepared(load_preset("digits"))
