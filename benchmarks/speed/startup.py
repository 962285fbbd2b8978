"""How soon `hnas --help` and `hnas status` answer, against `python -c "import torch"`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Row, alternate, compare, main
from hnas.cost.flops import cost
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.toml import load_preset
from hnas.studies.run.folder import begin_run
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.study import open_study
from tests.support.fake_scorer import FakeScorer


def run(*command: str) -> None:
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)


def searched(folder: Path, trials: int) -> None:
    """A run of the digits preset whose stage 1 has some trials."""
    plan = load_preset("digits")
    made = begin_run(folder, plan)
    storage = open_storage(made.storage, create=True)
    frame = plan.net
    run_stage(
        open_study(storage, made.study_name(1), create=True),
        plan.space1(),
        FakeScorer(frame=frame),
        SearchRules(trials=trials, population=20),
        costs=Costs(frame=frame, flops=cost(frame, frame.all_global()).macs),
    )
    close_storage(storage)


def against_torch(name: str, command: Sequence[str], pairs: int) -> Row:
    ours, theirs = alternate(
        lambda: run("-m", "hnas.cli.main", *command), lambda: run("-c", "import torch"), pairs=pairs
    )
    return compare(f"{name}, against python -c 'import torch'", ours, theirs, "<= 0.5")


def measure(quick: bool) -> list[Row]:
    pairs = 1 if quick else 9
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        searched(Path(folder) / "run", 5 if quick else 200)
        return [
            against_torch("hnas --help", ["--help"], pairs),
            against_torch("hnas status", ["status", "--run", f"{folder}/run"], pairs),
        ]


if __name__ == "__main__":
    main(measure, __doc__)
