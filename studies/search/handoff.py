"""Hand-offs: what a stage takes over from the stage before. Chosen once, recorded in the studies.

Stage 2 keeps the distribution of one architecture of stage 1; stage 3 begins with the front of
stage 2.
"""

from __future__ import annotations

from typing import Any

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.studies.run.result import best_trained
from hnas.studies.search.retrain import retrain_trial
from hnas.studies.search.session import Session
from hnas.studies.trials.database import storage_errors
from hnas.studies.trials.pareto import best_by_score, front

HANDOFF = "handoff"
"""Attribute of both studies: what was handed over, and the other study's name."""
FRONT = "front"
"""Attribute of a study whose front the next began with: its architectures, and that study's name.
"""


def stage_space(session: Session, stage: int) -> Space:
    """The space that a stage searches. Raises as `handoff` does."""
    return session.run.stage(stage).space(handoff(session) if stage > 1 else None)


def handoff(session: Session) -> Arch:
    """The distribution that stage 2 keeps, chosen once and recorded in both studies.

    Raises StateError if stage 1 is not finished, StorageError if it cannot be recorded.
    """
    first = session.study(1)
    if HANDOFF in first.user_attrs:
        return Arch.from_dict(first.user_attrs[HANDOFF]["arch"])
    found = session.finished(1, "stage 2")
    rules = session.plan.handoff
    best = best_by_score(found, rules.top, session.plan.search.objective)
    chosen = best[0]
    measured: dict[str, Any] = {}
    if rules.rule == "retrained":
        networks = [retrain_trial(session, record)[0] for record in best]
        chosen = best[networks.index(best_trained(networks))]
        measured["retrained"] = {
            str(record.number): network.accuracy
            for record, network in zip(best, networks, strict=True)
        }
    second = session.study(2)
    record = {"rule": rules.rule, "trial": chosen.number, "arch": chosen.arch.to_dict(), **measured}
    # The second study first: the attribute of stage 1 says that the hand-off is done.
    with storage_errors(f"the hand-off of {first.study_name!r} cannot be stored"):
        second.set_user_attr(HANDOFF, {**record, "from": first.study_name})
        first.set_user_attr(HANDOFF, {**record, "to": second.study_name})
    return chosen.arch


def start(session: Session, stage: int) -> tuple[Arch, ...]:
    """The architectures that a stage's first generation begins with: the front of the stage before,
    best score first, or none. Of a front larger than a generation, those that the proposer keeps.

    Raises StateError if that stage is not finished, StorageError if they cannot be recorded.
    """
    asked = session.run.stage(stage)
    if not asked.from_front:
        return ()
    before = session.study(stage - 1)
    if FRONT in before.user_attrs:
        return tuple(map(Arch.from_dict, before.user_attrs[FRONT]["archs"]))
    objective = session.plan.search.objective
    found = front(session.finished(stage - 1, f"stage {stage}"), objective)
    space = stage_space(session, stage)
    kept = asked.proposer.elites(space, session.costs, found, asked.population)
    chosen = tuple(record.arch for record in best_by_score(kept, asked.population, objective))
    archs = [arch.to_dict() for arch in chosen]
    with storage_errors(f"the front of {before.study_name!r} cannot be stored"):
        before.set_user_attr(FRONT, {"archs": archs, "to": session.run.study_name(stage)})
    return chosen
