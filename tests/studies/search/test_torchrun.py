"""What the other processes of a torchrun are asked for; whole searches are in tests/cli."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import NoReturn

import pytest
import torch
import torch.distributed as dist

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, distribution_space
from hnas.errors import InputError, StateError
from hnas.network.supernet import Supernet
from hnas.scoring.record import Score
from hnas.settings import ScoreRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.search import torchrun
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import (
    SharedScorer,
    dealt,
    images_job,
    join_scores,
    join_weights,
    serve,
    share_weights,
)
from hnas.training.processes import World
from tests.support.one_memory import OneMemory


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
    first.ask(images_job(tiny, torch.device("cpu"), None, {}))
    first.ask({"task": "supernet", "split": "another", "images": "other"})
    with pytest.raises(
        InputError, match=r"not those of the first process: .* must be another, other\. "
    ):
        serve(other)


def test_images_that_are_not_there_are_told(worlds, tiny: Plan) -> None:
    first, other = worlds
    plan = replace(tiny, data=replace(tiny.data, source="nowhere/at/all"))
    first.ask(images_job(plan, torch.device("cpu"), None, {}))
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


SPACE = distribution_space(
    Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3), d_k=12, d_z=2, E=1, K=3
)
ARCHS = [Arch((first, second)) for first in SPACE.choices[0] for second in SPACE.choices[1]]


@dataclass
class Counting:
    """Gives an architecture its place in ARCHS, and knows which it has scored."""

    scored: list[Arch] = field(default_factory=list)
    fingerprint: dict[str, str] = field(default_factory=lambda: {"supernet": "of all"})

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        for arch in archs:
            self.scored.append(arch)
            place = ARCHS.index(arch)
            yield Score(
                accuracy=place / 100, loss=1 / 3, images=7, seconds=0.1, right=f"of {place}"
            )


@pytest.mark.parametrize("count", [len(ARCHS), 5, 1])
def test_each_process_scores_a_part_and_the_first_has_all_in_their_order(worlds, count) -> None:
    first, other = worlds
    own, theirs, notes, heard = Counting(), Counting(), ["out of memory"], list[str]()
    scorer = SharedScorer(own, {"split": "s", "images": "i"}, first, heard.append)
    jobs = other.jobs()
    thread = threading.Thread(target=lambda: join_scores(next(jobs), theirs, other, notes))
    thread.start()
    found = list(scorer.score(ARCHS[:count]))
    thread.join()
    assert found == list(Counting().score(ARCHS[:count]))
    assert own.scored == ARCHS[: count // 2] and theirs.scored == ARCHS[count // 2 : count]
    assert heard == ["process 1 of 2: out of memory"] and not notes
    assert scorer.fingerprint == own.fingerprint


@pytest.mark.parametrize(("count", "size"), [(0, 2), (1, 4), (7, 3), (50, 8)])
def test_architectures_are_dealt_evenly(count: int, size: int) -> None:
    parts = dealt(count, size)
    assert [i for part in parts for i in part] == list(range(count))
    assert len(parts) == size and max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_that_cannot_score_is_told(worlds) -> None:
    first, other = worlds
    other.tell(InputError("one image does not fit in memory"))
    scorer = SharedScorer(Counting(), {"split": "s", "images": "i"}, first)
    with pytest.raises(StateError, match=r"^process 1 of 2: one image does not fit in memory$"):
        list(scorer.score(ARCHS))


@pytest.mark.parametrize("compiled", [False, True])
def test_the_others_compile_what_the_first_process_has_compiled(monkeypatch, compiled):
    """Else a score would depend on who scores."""
    found = []
    monkeypatch.setattr(torchrun, "compile_blocks", found.append)
    world, net = OneMemory(), Supernet(SPACE).reset(3)
    share_weights(net, ScoreRules(), TrainingRules(epochs=1, compile=compiled), {}, world)
    scorer = join_weights(world.job, SimpleNamespace(mean=torch.zeros(1)), world, print)
    assert found == ([scorer._net] if compiled else [])
    assert torch.equal(scorer._net.pos_embed, net.pos_embed)


def test_the_others_compute_in_the_first_process_s_precision(monkeypatch):
    monkeypatch.setattr("hnas.device.has_bf16", lambda device: True)
    world, net = OneMemory(), Supernet(SPACE).reset(3)
    share_weights(net, ScoreRules(), TrainingRules(epochs=1, precision="bf16"), {}, world)
    scorer = join_weights(world.job, SimpleNamespace(mean=torch.zeros(1)), world, print)
    assert scorer._net.precision == torch.bfloat16
