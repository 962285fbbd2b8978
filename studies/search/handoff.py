"""Hand-offs: what a stage takes over from the stage before. Chosen once, recorded in the studies.

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


def handoff(session: Session) -> Arch:
    """The distribution that stage 2 keeps, chosen once and recorded in both studies.

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
    second = session.study(2)
    mark = HandedArch(rule=rules.rule, trial=chosen.number, arch=chosen.arch, retrained=measured)
    # The second study first: the mark of stage 1 says that the hand-off is done.
    write_marks(second, Marks(handoff=replace(mark, giver=first.study_name)))
    write_marks(first, Marks(handoff=replace(mark, to=second.study_name)))
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
    given = HandedFront(archs=chosen, to=session.run.study_name(stage))
    write_marks(before, Marks(front=given))
    return chosen
