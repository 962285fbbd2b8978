"""`hnas published` lists what the data file has, and what hnas counts."""

from __future__ import annotations

import json

from click.testing import CliRunner

from hnas.cli.main import hnas
from hnas.studies.findings.published import published


def run(*args: str) -> str:
    result = CliRunner().invoke(hnas, ["published", *args], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_as_a_table() -> None:
    head, *rows = run().splitlines()
    assert head.split()[:5] == ["network", "top-1", "params", "FLOPs", "image"]
    assert len(rows) == len(published())
    for row, network in zip(rows, published(), strict=True):
        assert row.startswith(network.name) and row.endswith(network.source)
    (deit,) = (row for row in rows if row.startswith("DeiT-Ti"))
    assert deit.split()[1:7] == ["72.2", "5.7M", "1.26G", "224", "5,717,416", "1,253,683,200"]


def test_as_json() -> None:
    shown = json.loads(run("--json"))
    glit = next(network for network in shown if network["name"] == "GLiT-Tiny (release)")
    assert list(glit) == [
        *("name", "family", "top1", "params", "flops", "macs", "image", "source", "exact"),
    ]
    assert (glit["top1"], glit["macs"]) == (76.4, 1_330_000_000)
    assert glit["exact"] == {"macs": 1_472_873_280, "params": 7_264_456}
    assert next(n for n in shown if n["name"] == "ResNet-18")["exact"] is None
