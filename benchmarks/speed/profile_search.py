"""Where the time of a search goes: a real stage 1 of the digits preset, 200 trials, on SQLite.

    python -m benchmarks.speed.profile_search [--quick] [--epochs N] [--threads 1] [--json FILE]

`before` is the same supernet and images in the loop that Optuna's documentation shows: `ask`, score
that architecture alone, `tell`. What is named is timed around its function, in wall time; `rest` is
what remains of the whole. Storing works in a thread of its own beside scoring; what the search
waits for it is part of the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import optuna

from benchmarks.common import paper_preset, write_rows
from hnas.cost.flops import cost
from hnas.device import choose
from hnas.scoring import score
from hnas.studies.plan.change import override
from hnas.studies.proposers.base import Proposer
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.run.folder import begin_run
from hnas.studies.scoring import local_backend
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.search.session import Session
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.search.supernets import supernet
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.encoding import decode, distributions
from hnas.studies.trials.study import open_study

BESIDE = "storing (beside the others)"


class Clock:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def timed(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **named)
            finally:
                self.spent[what] += time.perf_counter() - began

        return run

    @contextlib.contextmanager
    def scoring(self) -> Iterator[None]:
        """Within it, scoring is timed in its two parts."""
        tree = score.Tree
        with (
            mock.patch.object(tree, "_measure", self.timed("recalibration", tree._measure)),
            mock.patch.object(tree, "_chunk", self.timed("held-out images", tree._chunk)),
        ):
            yield

    def rest(self, whole: float) -> None:
        inside = sum(s for what, s in self.spent.items() if what != BESIDE)
        self.spent["rest"] = whole - inside


def after(clock: Clock, session: Session, scorer: SupernetScorer, rules: SearchRules) -> None:
    proposer = Proposer(
        name=NSGA2.name,
        propose=clock.timed("proposing", NSGA2.propose),
        elites=clock.timed("proposing", NSGA2.elites),
    )
    write = mock.patch.object(
        local_backend, "write_trial", clock.timed(BESIDE, local_backend.write_trial)
    )
    with write, clock.scoring():
        began = time.perf_counter()
        run_stage(
            session.study(1), session.plan.space1(), scorer, rules,
            costs=session.costs, proposer=proposer,
        )  # fmt: skip
        clock.rest(time.perf_counter() - began)


def before(clock: Clock, study: optuna.Study, session: Session, scorer: SupernetScorer,
           rules: SearchRules) -> None:  # fmt: skip
    space = session.plan.space1()
    free = distributions(space)
    study.sampler = optuna.samplers.NSGAIISampler(population_size=rules.population, seed=0)
    ask, tell = clock.timed("ask", study.ask), clock.timed("tell", study.tell)
    with clock.scoring():
        began = time.perf_counter()
        for _ in range(rules.trials):
            trial = ask(free)
            arch = decode(space, trial.params)
            [found] = scorer.score([arch])
            tell(trial, [found.accuracy, cost(space.frame, arch).macs])
        clock.rest(time.perf_counter() - began)


def measure(quick: bool, epochs: int | None = None) -> dict[str, dict[str, float]]:
    """Seconds of the supernet's training and of both ways to search it."""
    plan = override(paper_preset("digits"), epochs=epochs)
    if quick:
        plan = override(plan, epochs=1, trials=10)
    asked = plan.stage1
    rules = SearchRules(trials=asked.trials, population=min(asked.population, asked.trials))
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        session = Session(begin_run(Path(folder) / "run", plan), choose("cpu"))
        training = Clock()
        clocks = {"before": Clock(), "after": Clock()}
        training.timed("images", lambda: session.data)()
        net = training.timed("supernet", lambda: supernet(session, 1))()
        scorer = SupernetScorer(net, session.data, plan.score)
        storage = open_storage(f"sqlite:///{folder}/before.db", create=True)
        study = open_study(storage, "before", create=True)
        before(clocks["before"], study, session, scorer, rules)
        after(clocks["after"], session, scorer, rules)
        close_storage(storage)
        session.close()
    return {"training": training.spent} | {name: clock.spent for name, clock in clocks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument(
        "--epochs", type=int, help="of the supernet; a trial takes as long whatever they are [150]"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = measure(options.quick, options.epochs)
    rows: list[dict[str, object]] = []
    for part, spent in found.items():
        whole = sum(s for what, s in spent.items() if what != BESIDE)
        for what, seconds in spent.items():
            rows.append({"part": part, "what": what, "seconds": seconds, "share": seconds / whole})
            print(f"{part:9} {what:28} {seconds:8.2f} s  {seconds / whole:6.1%}")
    if options.json:
        command = "python -m benchmarks.speed.profile_search"
        command += f" --epochs {options.epochs}" if options.epochs else ""
        write_rows(options.json, rows, options.threads, command)


if __name__ == "__main__":
    main()
