"""What a run has come to: everything that must not depend on what happened on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hnas.persist.difference import differences
from hnas.studies.run.folder import open_run
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records

WHERE = ("run", "workers")
"""Attributes of studies on a database server: whose they are, and that workers are asked for."""


def outcome(folder: Path, storage: str | None = None) -> dict[str, Any]:
    """Trials with their values, studies' attributes, hand-off, winner, the hash of all weights,
    and the names of the files that there are. Times are left out. `storage` is the run's, if it is
    not in its folder."""
    run = open_run(folder, storage=storage)
    opened = open_storage(run.storage)
    studies = {}
    for stage in range(1, len(run.stages) + 1):
        study = open_study(opened, run.study_name(stage))
        studies[f"stage {stage}"] = {
            "attributes": {n: v for n, v in study.user_attrs.items() if n not in WHERE},
            "trials": [
                {
                    "number": r.number,
                    "generation": r.generation,
                    "arch": r.arch.to_json(),
                    "accuracy": r.accuracy,
                    "loss": r.loss,
                    "macs": r.macs,
                }
                for r in records(study)
            ],
        }
    close_storage(opened)
    weights = {
        str(index.relative_to(folder)): json.loads(index.read_text())["versions"]
        for part in ("checkpoints", "networks")
        for index in sorted((folder / part).glob("*.json"))
    }
    files = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("study.db")
    )
    return {
        "studies": studies,
        "weights": weights,
        "split": run.read("split.json"),
        "result": run.read("result.json"),
        "files": files,
    }


def lost(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What differs, by name; empty where nothing was lost."""
    return [
        f"{name}: {was!r} became {now!r}"
        for name, (was, now) in differences(expected, found).items()
    ]
