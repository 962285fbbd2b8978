"""The numbers of a report as JSON."""

from __future__ import annotations

import json

from hnas.studies.report.as_json import as_json
from hnas.studies.report.gather import Report

KEYS = ["report", "run", "folder", "strategy", "budget_macs", "budget_convention"]
KEYS += ["budget_params", "objective"]
KEYS += ["budget_latency_ns", "latency_table", "answer", "by_class", "confusion"]
KEYS += ["baselines", "verdict"]
KEYS += ["candidates", "handoff", "studies"]
KEYS += [
    "findings",
    "rankings",
    "published",
    "trainings",
    "costs",
    "environment",
    "commands",
    "plan",
    "missing",
]


def test_a_finished_run(report: Report) -> None:
    value = json.loads(as_json(report))
    assert list(value) == KEYS
    assert value["answer"]["winner"]["test_accuracy"] == 0.9
    assert value["answer"]["difference"]["low"] > 0
    assert [study["stage"] for study in value["studies"]] == ["stage1", "stage2"]
    assert [found["of"] for found in value["findings"]] == [
        *("stage1", "stage2", "GLiT-Tiny (release)"),
    ]
    assert len(value["candidates"]) == 2
    assert value["plan"] == report.toml


def test_a_run_that_has_begun(begun: Report) -> None:
    value = json.loads(as_json(begun))
    assert list(value) == KEYS
    assert (value["answer"], value["candidates"]) == (None, [])
    assert value["missing"] == list(begun.missing)
