"""A search that may skip blocks: depth is part of what it finds, to the exported network."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hnas.architecture.arch import SKIP, SKIPPED, Arch
from hnas.cost.flops import cheapest, cost
from hnas.exchange.export import load, save
from hnas.persist.record import recorded
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml, to_toml
from hnas.studies.report.write import write_report
from hnas.studies.run.folder import begin_run
from hnas.studies.run.networks import winner
from hnas.studies.search.session import Session
from hnas.studies.trials.trial import records
from tests.support.broken_off import CPU, whole


@pytest.fixture
def shallow(tiny: Plan) -> Plan:
    """A plan within the budget of which no network of stage 1 has all of its blocks."""
    least = cost(tiny.net, cheapest(tiny.space1())).macs
    skipping = replace(tiny, stage1=replace(tiny.stage1, skip=True))
    return replace(skipping, search=replace(tiny.search, flops=least - 1))


def test_it_is_written_and_read(shallow: Plan, tiny: Plan) -> None:
    assert "skip = true" in to_toml(shallow) and from_toml(to_toml(shallow)) == shallow
    assert not any("skip" in table for table in recorded(tiny).values())  # old runs stay the same
    assert tiny.space1().distinct == 4**3 and shallow.space1().distinct == 4 * 5**2
    assert all(SKIP not in block.G for block in tiny.space2().blocks)


def test_no_block_at_all_is_an_answer_behind_a_residual_stem(tmp_path: Path, tiny: Plan) -> None:
    net = replace(tiny.net, stem="residual", pool="mean", local="conv2d")
    bare = Arch((SKIPPED,) * net.M)
    plan = replace(
        tiny,
        net=net,
        stage1=replace(tiny.stage1, skip=True),
        stage2=replace(tiny.stage2, K=(1, 3)),
        search=replace(tiny.search, flops=cost(net, bare).macs),
    )
    run = begin_run(tmp_path / "run", plan)
    result = whole(run)
    assert result.winner.arch == bare and result.winner.macs == plan.budget()
    save(winner(run), tmp_path / "net")
    model = load(tmp_path / "net").model
    images = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(model(images), winner(run).model(images))
    assert "· skipped" in write_report(run, tmp_path / "report.html").read_text()


def test_what_is_skipped_stays_so(tmp_path: Path, shallow: Plan) -> None:
    run = begin_run(tmp_path / "run", shallow)
    result = whole(run)
    with contextlib.closing(Session(run, CPU)) as session:
        first, second = (records(session.study(stage)) for stage in (1, 2))
    assert len({record.arch for record in first}) > 5
    for record in (*first, *second):
        blocks = record.arch.blocks
        assert SKIPPED in blocks and blocks[0] != SKIPPED
        assert record.macs == cost(shallow.net, record.arch).macs <= (shallow.budget() or 0)
    depths = {tuple(block == SKIPPED for block in record.arch.blocks) for record in second}
    assert len(depths) == 1
    assert result.winner.arch in {record.arch for record in second}
    network = winner(run)
    save(network, tmp_path / "net")
    again, images = load(tmp_path / "net"), torch.randn(3, 1, 8, 8)
    assert again.model.arch == network.model.arch == result.winner.arch
    with torch.no_grad():
        assert torch.equal(again.model(images), network.model(images))
