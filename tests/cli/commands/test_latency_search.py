"""`hnas search --objective` and `--latency`, and how what they find is shown."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.cost.block_latency import measure


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, list(map(str, args)), catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Path, Result]:
    """A finished search for both, by a table of one round."""
    folder = tmp_path_factory.mktemp("latency") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.search.measure_latency.measure", partial(measure, rounds=1))
        result = invoke(
            *("search", "--plan", tiny, "--run", folder, "--device", "cpu"),
            *("--objective", "both", "--flops", "90K", "--latency", "1s"),
        )
    assert result.exit_code == 0, result.output
    return folder, result


def test_a_search_for_both(run: tuple[Path, Result]) -> None:
    folder, result = run
    assert "Kendall's tau" in result.output and "latencies: round 1/1" in result.output
    heads = [line.split() for line in result.stdout.splitlines() if line.startswith("trial ")]
    assert [head[4:7] for head in heads] == [["MACs", "ms", "params"]] * 2
    shown = invoke("status", "--run", folder).stdout
    assert "at most 90,000 MACs an image and at most 1000ms for an image" in shown
    assert "sums of them are off by" in shown
    told = json.loads(invoke("status", "--run", folder, "--json").stdout)
    assert told["objective"] == "both" and told["latency_table"]["networks"] == 16
    for stage in told["stages"]:
        for trial in stage["front"]:
            assert 0 < trial["latency_ms"] < 1000 and trial["macs"] <= 90_000
        assert stage["best"]["score"] == max(trial["score"] for trial in stage["front"])
    assert told["result"]["winner"]["latency_ms"] > 0
    again = invoke("search", "--run", folder, "--device", "cpu")
    assert "is finished, nothing is left to do" in again.stdout


def test_what_is_found_is_reported(run: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = run
    page = tmp_path / "report.html"
    assert invoke("report", folder, "--to", page).exit_code == 0
    text = page.read_text()
    assert "How latencies are measured" in text
    assert "milliseconds of a pass, by the latency table" in text
    assert invoke("analyze", folder).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "speed"), "objective 'speed' is unknown; Known: flops, latency, both"),
        (
            ("--latency", "5"),
            "--latency must be a time with its unit, ns, us, ms or s, such",
        ),
    ],
)
def test_what_cannot_be_asked_for(
    options: tuple[str, ...], message: str, tiny: Path, tmp_path: Path
) -> None:
    result = invoke("search", "--plan", tiny, "--run", tmp_path / "run", *options)
    assert result.exit_code == 2 and message in result.output
    assert not (tmp_path / "run").exists()


def test_a_latency_that_nothing_has(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnas.studies.search.measure_latency.measure", partial(measure, rounds=1))
    result = invoke(
        *("search", "--plan", tiny, "--run", tmp_path / "run", "--device", "cpu"),
        *("--latency", "10ns"),
    )
    assert result.exit_code == 2
    # However busy the machine is.
    assert re.search(r"fits latency 0\.00001ms: the fastest takes \d", result.output)
