"""A run keeps the layouts of convolutions that it timed on a GPU, here a pretended one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hnas.errors import StateError
from hnas.network.local import layouts
from hnas.network.local.layouts import USUAL, use
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.layouts import read_layouts
from hnas.studies.search import layouts as search_layouts
from hnas.studies.search import torchrun
from hnas.studies.search.events import Listener
from hnas.studies.search.layouts import chosen_layouts

GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    yield
    use({})


@pytest.fixture
def run(tmp_path, tiny) -> Run:
    return begin_run(tmp_path / "run", tiny)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Its name, and the layout that is its fastest."""
    it = {"device": "pretended", "best": "FFT", "dtype": torch.bfloat16}

    def fastest(frame, blocks, device, *, batch, dtype, known):
        assert blocks and device == GPU and dtype == it["dtype"]
        return {**{"5 x 12, kernel 3": it["best"]}, **known}

    monkeypatch.setattr(search_layouts, "describe", lambda device: it)
    monkeypatch.setattr("hnas.device.has_bf16", lambda device: True)
    monkeypatch.setattr(search_layouts, "fastest", fastest)
    return it


class Notes(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_a_resumed_run_keeps_what_it_timed(run: Run, gpu: dict[str, str]) -> None:
    listener = Notes()
    chosen = chosen_layouts(run, GPU, listener)
    assert chosen == {"5 x 12, kernel 3": "FFT"} == layouts._chosen
    assert listener.said == ["timed the layouts of 1 sizes of convolutions on pretended, once"]
    gpu["best"] = USUAL  # the clock says something else that day
    use({})
    assert chosen_layouts(run, GPU, listener) == chosen == layouts._chosen
    assert len(listener.said) == 1
    gpu["device"] = "another"
    assert chosen_layouts(run, GPU, listener) == {"5 x 12, kernel 3": USUAL}
    assert read_layouts(run) == {
        "pretended": {"5 x 12, kernel 3": "FFT"}, "another": {"5 x 12, kernel 3": USUAL}
    }  # fmt: skip


def test_a_cpu_times_nothing(run: Run, gpu: dict[str, str]) -> None:
    assert chosen_layouts(run, torch.device("cpu"), Notes()) == {}
    assert not (run.folder / "layouts.json").exists() and read_layouts(run) == {}


def test_a_damaged_file_is_told(run: Run, gpu: dict[str, str]) -> None:
    (run.folder / "layouts.json").write_text('{"gpus": {"pretended": ["FFT"]}}')
    with pytest.raises(StateError, match=r"layouts.json does not hold .*delete it: they are timed"):
        chosen_layouts(run, GPU, Notes())


def test_the_other_processes_compute_by_the_same(tiny) -> None:
    chosen = {"5 x 12, kernel 3": "FFT"}
    torchrun._images(torchrun.images_job(tiny, torch.device("cpu"), None, chosen))
    assert layouts._chosen == chosen
