"""A report as JSON: every number of the page, and all trials on the fronts."""

import json
import math
from dataclasses import asdict
from typing import Any

from hnas.persist.ours import MARK
from hnas.persist.record import recorded
from hnas.studies.report.classes import by_class
from hnas.studies.report.gather import Report
from hnas.studies.run.ranking import Ranking
from hnas.studies.run.result import shown_baselines


def as_json(report: Report) -> str:
    """One object; what is not there yet is null or empty."""
    status, result, answer = report.status, report.status.result, report.answer
    value = {
        "report": MARK.decode(),
        "run": report.run,
        "folder": report.folder,
        "strategy": report.plan.search.strategy,
        "budget_macs": report.plan.budget(),
        "budget_convention": report.plan.search.convention,
        "budget_params": report.limits.params,
        "objective": report.plan.search.objective,
        "budget_latency_ns": report.limits.latency,
        "latency_table": report.latencies and report.latencies.to_dict(),
        "answer": answer
        and {
            **recorded(answer),
            "winner": result and result.shown(answer.winner),
            "all_global": result and result.shown(answer.all_global),
        },
        "by_class": by_class(result) if result else [],
        "confusion": result
        and {
            name: network.confusion and network.confusion.to_dict()
            for name, network in (("winner", result.winner), ("all_global", result.all_global))
        },
        "baselines": shown_baselines(result.baselines, result.test_images) if result else [],
        "verdict": result.verdict() if result else "",
        "candidates": [result.shown(network) for network in result.candidates] if result else [],
        "handoff": status.handoff and status.handoff.to_dict(),
        "studies": [
            {
                "stage": study.stage,
                "trials": study.trials,
                "front": list(map(recorded, study.front)),
            }
            for study in report.studies
        ],
        "findings": [asdict(found) for found in (*report.findings, report.paper)],
        "rankings": [_ranking(found) for found in report.rankings],
        "published": [
            {name: getattr(network, name) for name in ("name", "top1", "params", "flops", "source")}
            for network in report.published
        ],
        "trainings": {name: list(map(recorded, rows)) for name, rows in report.curves.items()},
        "costs": [asdict(cost) for cost in report.costs],
        "environment": dict(report.environment),
        "commands": list(report.commands),
        "plan": report.toml,
        "missing": list(report.missing),
    }
    return json.dumps(value, indent=1) + "\n"


def _ranking(found: Ranking) -> dict[str, Any]:
    of = found.agreement
    return {
        "stage": found.stage,
        "networks": of.architectures,
        "seeds": of.seeds,
        "epochs": found.epochs,
        "tau": None if math.isnan(of.tau.value) else asdict(of.tau),
        "points": [(one.score, one.accuracy) for one in found.ranked],
    }
