"""What a worker reads of a run's folder: the layouts of convolutions on its own GPU."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from hnas.network.local import layouts
from hnas.network.local.layouts import use
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.run.layouts import write_layouts
from hnas.studies.scoring import from_run
from tests.support.queued import REQUEST, SPACE


def test_a_worker_computes_by_the_layouts_that_a_run_timed_on_such_a_gpu(
    tmp_path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, gpu = "5 x 12, kernel 3", {"device": "one"}
    timed = {
        "first": {"one": {size: "FFT"}, "another": {size: "channels-first"}},
        "second": {"one": {size: "Triton"}},
        "third": {},
    }
    for name, gpus in timed.items():
        write_layouts(begin_run(tmp_path / name, tiny), gpus)
    data = SimpleNamespace(to=lambda device: "the images, there")
    monkeypatch.setattr(from_run, "describe", lambda device: gpu)
    monkeypatch.setattr(from_run, "stored_images", lambda run: data)
    monkeypatch.setattr(
        from_run, "stored_scorer", lambda run, stage, space, data, note: (layouts._chosen, data)
    )
    load = from_run.from_folders(torch.device("cuda"))
    try:
        for name, gpus in timed.items():
            found, images = load(replace(REQUEST, run=str(tmp_path / name)), SPACE)
            assert found == gpus.get("one", {}) and images == "the images, there"
        gpu["device"] = "another"
        found, _ = load(replace(REQUEST, run=str(tmp_path / "first")), SPACE)
        assert found == {size: "channels-first"}
    finally:
        use({})
