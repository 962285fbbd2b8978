"""What the other processes of a torchrun are asked for; whole searches are in tests/cli."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest
import torch
import torch.distributed as dist

from hnas.errors import InputError
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import images_job, serve
from hnas.training.processes import World


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> tuple[World, World]:
    """Two processes' views of one store; where the second would end, its reason is raised."""

    def leave(world: World, error: Exception) -> NoReturn:
        raise error

    monkeypatch.setattr(World, "leave", leave)
    store = dist.HashStore()
    return World(0, 2, store), World(1, 2, store)


def test_other_images_than_the_first_processs_are_refused(worlds, tiny: Plan) -> None:
    first, other = worlds
    first.ask(images_job(tiny, torch.device("cpu"), None))
    first.ask({"task": "supernet", "split": "another", "images": "other"})
    with pytest.raises(
        InputError, match=r"not those of the first process: .* must be another, other\. "
    ):
        serve(other)


def test_images_that_are_not_there_are_told(worlds, tiny: Plan) -> None:
    first, other = worlds
    plan = replace(tiny, data=replace(tiny.data, source="nowhere/at/all"))
    first.ask(images_job(plan, torch.device("cpu"), None))
    with pytest.raises(InputError, match="nowhere/at/all"):
        serve(other)


def test_a_search_of_many_begins_only_where_every_batch_can_be_dealt(
    worlds, tiny: Plan, tmp_path
) -> None:
    shared = replace(tiny.stage1.training, micro_batch=32)
    plan = replace(
        tiny,
        stage1=replace(tiny.stage1, training=shared),
        stage2=replace(tiny.stage2, training=shared),
    )
    run = begin_run(tmp_path / "run", plan)
    with pytest.raises(InputError, match="2 processes train together and a step has 1 micro-batch"):
        Session(run, torch.device("cpu"), world=worlds[0])  # retraining's is not
    assert not (run.folder / "split.json").exists()
