"""How soon commands answer and `import hnas` searches, against `python -c "import torch"`."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
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

MOST = "<= 1.3"


def run(*command: str) -> None:
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)


def first_line(*command: str) -> None:
    """Starts a command of hnas and kills it once it has said something."""
    program = [sys.executable, "-m", "hnas.cli.main", *command]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()


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


def against_torch(name: str, work: Callable[[], None], pairs: int, target: str = "<= 0.5") -> Row:
    warm_up = min(1, pairs - 1)  # a single pair tells only that it runs
    torch = partial(run, "-c", "import torch")
    ours, theirs = alternate(work, torch, pairs=pairs, warm_up=warm_up)
    return compare(f"{name}, against python -c 'import torch'", ours, theirs, target)


def measure(quick: bool) -> list[Row]:
    pairs = 1 if quick else 9
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        searched(Path(folder) / "run", 5 if quick else 200)
        numbers = itertools.count()

        def searches() -> None:
            first_line("search", "--device", "cpu", "--run", f"{folder}/new{next(numbers)}")

        hnas = partial(run, "-m", "hnas.cli.main")
        return [
            against_torch("hnas --help", partial(hnas, "--help"), pairs),
            against_torch("hnas status", partial(hnas, "status", "--run", f"{folder}/run"), pairs),
            against_torch(
                "hnas.search", partial(run, "-c", "import hnas; hnas.search"), pairs, MOST
            ),
            against_torch("first line of hnas search", searches, pairs, MOST),
        ]


if __name__ == "__main__":
    main(measure, __doc__)
