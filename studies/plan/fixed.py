"""The part of a plan that is fixed as soon as trials depend on it."""

from dataclasses import asdict

from hnas.persist.difference import differences
from hnas.studies.plan.plan import Plan

MAY_GROW = ("stage1.trials", "stage2.trials", "refine.trials")
"""What a plan may change in a run that has its result."""
MAY_CHANGE = (*MAY_GROW, "retrain", "baselines")
"""What it may change in a run that has begun: nothing that finished trials depend on."""
RESCORE = "score."
"""What it may change too if trials are to be scored again."""
SOURCE = "data.source"
"""What it may change too if the images are the same ones, elsewhere."""


def changes(
    stored: Plan, asked: Plan, *, rescore: bool = False, tested: bool = False
) -> dict[str, tuple[object, object]]:
    """The differences of two plans that may not be, by name; `tested`: the run has its result."""
    free = MAY_GROW if tested else MAY_CHANGE
    free = (*free, RESCORE) if rescore else free
    found = differences(asdict(stored), asdict(asked))
    return {name: both for name, both in found.items() if not name.startswith(free)}
