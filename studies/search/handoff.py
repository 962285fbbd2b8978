"""Hand-offs: what a stage takes over from the stage before. Chosen once, recorded in the study of
that stage; then both studies name each other.

Stage 2 keeps the distribution of one architecture of stage 1; stage 3 begins with the front of
stage 2.
"""

from dataclasses import replace

from hnas.architecture.arch import Arch
from hnas.studies.run.result import best_trained
from hnas.studies.search.picks import best
from hnas.studies.search.retrain import retrain_trials
from hnas.studies.search.session import Session
from hnas.studies.search.spaces import stage_space
from hnas.studies.trials.marks import HandedArch, HandedFront, Marks, marks_of, write_marks
from hnas.studies.trials.pareto import best_by_score, front
from hnas.studies.trials.trial import records


def handoff(session: Session) -> Arch:
    """The distribution that stage 2 keeps, chosen once and recorded in stage 1's study.

    Raises StateError if stage 1 is not finished, StorageError if it cannot be recorded.
    """
    first = session.study(1)
    if (done := marks_of(first).handoff) is not None:
        return done.arch
    found, rules = session.finished(1, "stage 2"), session.plan.handoff
    candidates = best(session, 1, found, rules.top)
    chosen, measured = candidates[0], None
    if rules.rule == "retrained":
        networks = retrain_trials(session, candidates, stage=1)
        chosen = candidates[networks.index(best_trained(networks))]
        pairs = zip(candidates, networks, strict=True)
        measured = {str(record.number): network.accuracy for record, network in pairs}
    mark = HandedArch(rule=rules.rule, trial=chosen.number, arch=chosen.arch, retrained=measured)
    write_marks(first, Marks(handoff=mark))
    return chosen.arch


def start(session: Session, stage: int) -> tuple[Arch, ...]:
    """The architectures that a stage's first generation begins with: the front of the stage before,
    best score first, or none. Of a front larger than a generation, those that the proposer keeps,
    if it keeps any.

    Raises StateError if that stage is not finished, StorageError if they cannot be recorded.
    """
    asked = session.run.stage(stage)
    if not asked.from_front:
        return ()
    before = session.study(stage - 1)
    if (done := marks_of(before).front) is not None:
        return done.archs
    objective = session.plan.search.objective
    found = front(session.finished(stage - 1, f"stage {stage}"), objective)
    space = stage_space(session, stage)
    kept = asked.proposer.elites(space, session.costs, found, asked.population) or found
    chosen = tuple(record.arch for record in best_by_score(kept, asked.population, objective))
    write_marks(before, Marks(front=HandedFront(archs=chosen)))
    return chosen


def link(session: Session, stage: int) -> None:
    """Names the study of a stage and the one that handed something to it in each other's marks.

    A study that has trials stays as it is: it is named already, or it is one that began with
    something else and is to be scored again under another name. Raises StorageError.
    """
    study, before = session.study(stage), session.study(stage - 1)
    if records(study):
        return
    given = marks_of(before)
    if stage == 2 and given.handoff is not None:
        mark = replace(given.handoff, giver=before.study_name, to=None)
        write_marks(study, Marks(handoff=mark))
        write_marks(before, Marks(handoff=replace(given.handoff, to=study.study_name)))
    if given.front is not None:
        write_marks(before, Marks(front=replace(given.front, to=study.study_name)))
