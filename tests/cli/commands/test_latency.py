"""`hnas latency`: what is measured, and what is said about how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.run.folder import open_run
from hnas.studies.run.status import read_status
from tests.support.moved_images import changed


def latency(*args: object) -> Result:
    command = ["latency", *map(str, args), "--device", "cpu", "--rounds", "3"]
    return CliRunner().invoke(hnas, command, catch_exceptions=False)


def test_a_winner_is_measured_beside_all_global_networks(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    result = latency(folder, "--batch", 2)
    assert result.exit_code == 0, result.output
    head, columns, own, *others = result.stdout.splitlines()
    assert head == (
        f"On cpu, {torch.get_num_threads()} CPU thread, torch {torch.__version__}, fp32, batch 2: "
        "milliseconds, median of 3 alternating passes"
    )
    assert columns.split()[:5] == ["network", "MACs", "params", "ms", "lowest"]
    winner = read_status(open_run(folder)).result
    assert winner is not None
    assert own.split()[:4] == [
        "this",
        "network",
        f"{winner.winner.macs:,}",
        f"{winner.winner.params:,}",
    ]
    assert own.endswith("1.00 x")
    assert others and all(row.startswith("all-global, d = ") for row in others)


def test_in_json(finished: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    result = latency(finished[0], "--json", "--threads", 3)
    assert threads == [3]
    told = json.loads(result.stdout)
    assert (told["device"], told["batch"], told["rounds"]) == ("cpu", 1, 3)
    first, *others = told["networks"]
    assert first["name"] == "this network" and others
    for each in told["networks"]:
        assert 0 < each["lowest"] <= each["median"] <= each["highest"] < 10
        assert each["macs"] > 0 and each["params"] > 0


@pytest.mark.parametrize("what", ["a class is added", "they are moved away", "an image is added"])
def test_a_finished_run_needs_no_images(photographed: Path, tmp_path: Path, what: str) -> None:
    with changed(photographed, what, tmp_path) as run:
        result = latency(run)
    assert result.exit_code == 0, result.output
    assert "this network" in result.stdout
