"""What a supernet begins with, if its weights are pretrained, is kept in the run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hnas.architecture.arch import Arch
from hnas.exchange.export import Network, save
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.settings import PretrainedRules
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.search.pretrained import begin
from hnas.studies.search.session import Session
from tests.support.broken_off import CPU


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    """Its plan begins with an all-global network of its own frame."""
    model = Glit(tiny.net, tiny.net.all_global()).reset(0).eval()
    half = (0.5,) * tiny.net.channels
    file = tmp_path / "weights"
    save(Network(model=model, classes=tuple("0123456789"), mean=half, std=half), file)
    rules = PretrainedRules(file=str(file), local="random")
    return begin_run(tmp_path / "tiny", replace(tiny, pretrained=rules))


def begun(run: Run, distribution: Arch) -> dict[str, torch.Tensor]:
    """The weights that stage 2's supernet of a distribution begins with."""
    net = Supernet(run.plan.space2(distribution)).reset(0)
    with contextlib.closing(Session(run, CPU)) as session:
        begin(session, net, 2)
    return net.state_dict()


def distributions(run: Run) -> tuple[Arch, Arch]:
    """All-global, and one with local heads."""
    rng, space = np.random.default_rng(0), run.plan.space1()
    drawn = (space.sample(rng) for _ in range(100))
    mixed = next(arch for arch in drawn if any(block.L for block in arch.blocks))
    return run.plan.net.all_global(), mixed


def test_a_search_that_goes_on_needs_the_file_no_more(run: Run) -> None:
    arch, _ = distributions(run)
    first = begun(run, arch)
    Path(f"{run.plan.pretrained.file}.json").unlink()
    again = begun(run, arch)
    assert all(map(torch.equal, first.values(), again.values()))


def test_stage_1_scored_again_may_hand_over_another_distribution(run: Run) -> None:
    """A supernet of another distribution has other weights, so it cannot begin with the same."""
    before, after = distributions(run)
    first = begun(run, before)
    again = begun(run.rescore(1), after)
    assert first.keys() != again.keys()
    kept = begun(run, before)
    assert all(map(torch.equal, first.values(), kept.values()))
