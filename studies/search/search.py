"""A whole search, step by step: every step resumes where it was interrupted.

stage 1     a supernet of the distributions is trained, then searched
hand-off    one distribution is chosen
stage 2     the supernet is grown to that distribution's sizes, trained on, then searched
stage 3     if the plan refines: the supernet is grown to the whole space, trained on, then
            searched from the front of stage 2
retraining  the best few, from scratch or from the last supernet's weights, and an all-global
            network of nearly equal cost
the end     the best of them and the all-global one are tested, once

This is the hierarchical strategy. In the others (`hnas.studies.plan.strategies`) stage 1 has
another space and is the last.
"""

from hnas.errors import MismatchError
from hnas.network.supernet import Supernet
from hnas.settings import TrainingRules
from hnas.studies.proposers.base import corners, starting_from
from hnas.studies.scoring.backend import Scorer
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.search.calls import backend, call, calling
from hnas.studies.search.events import TrialEvent
from hnas.studies.search.finish import finish
from hnas.studies.search.handoff import handoff, link, start
from hnas.studies.search.session import Session
from hnas.studies.search.spaces import stage_space
from hnas.studies.search.stage import SearchRules, StageResult, run_stage
from hnas.studies.search.supernets import supernet
from hnas.studies.search.teacher import check_teacher
from hnas.studies.search.torchrun import SharedScorer, share_weights
from hnas.studies.trials.marks import Marks, write_marks


def run_search(session: Session, stage: int | None = None) -> None:
    """Runs every step of a search in order, or one stage alone.

    Raises what the steps raise; what was finished before is kept.
    """
    session.only = stage
    with calling(session):
        call(session)
        for number in range(1, len(session.run.stages) + 1) if stage is None else (stage,):
            search_stage(session, number)
    if stage is None:
        finish(session)


def search_stage(session: Session, number: int) -> StageResult:
    """Searches the space of a stage with its supernet, until the stage has its trials.

    Raises BudgetError if nothing fits, StateError if the stage before is not finished, InputError
    if the strategy has no such stage or the plan's teacher is not usable.
    """
    check_teacher(session)  # needed last, but hours later is too late to say that it is missing
    distribution = handoff(session) if number > 1 else None
    if session.run.about.storage is not None:
        session.study(number)  # says that it is another run's before anything is trained
    session.costs.check(stage_space(session, number))
    first = start(session, number)
    if distribution is not None:
        link(session, number)
        session.listener.handed_over(number, distribution, first)
    session.tell_agenda()
    supernet(session, number)
    try:
        result = _scored(session, number)
    except MismatchError as error:
        if not session.rescore:
            raise
        session.run = session.run.rescore(number)
        name = session.run.study_name(number)
        session.listener.note(f"{error}. Scored again in the study {name!r}")
        if number > 1:
            link(session, number)
        result = _scored(session, number)
    if result.exhausted:
        _keep_exhausted(session, number, result)
    session.listener.stage_done(session.run, number, result)
    return result


def _scored(session: Session, number: int) -> StageResult:
    plan, asked = session.plan, session.run.stage(number)
    study = session.study(number)
    call(session, number)
    net = supernet(session, number)
    first = start(session, number)
    if asked.sampler:
        first += corners(net.space, session.costs)
    costs = session.costs
    scorer = _scorer(session, net, asked.training)

    def on_trial(event: TrialEvent) -> None:
        session.clock.tick()
        session.listener.trial(number, event)

    with session.clock.step(f"trials of {asked.name}"):
        return run_stage(
            study,
            space=stage_space(session, number),
            scorer=scorer,
            rules=SearchRules(
                trials=asked.trials, population=asked.population, seed=plan.search.seed
            ),
            costs=costs,
            proposer=starting_from(first, asked.proposer),
            on_trial=on_trial,
            backend=backend(session),
        )


def _scorer(session: Session, net: Supernet, training: TrainingRules) -> Scorer:
    """This process scores, and those that train with it do; not if workers score."""
    rules, world, note = session.plan.score, session.world, session.listener.note
    own = SupernetScorer(net, session.data, rules, note)
    if world.size == 1 or session.lease is not None:
        return own
    images = {"split": session.split.fingerprint, "images": session.split.images}
    share_weights(net, rules, training, images, world)
    return SharedScorer(own, images, world, note)


def _keep_exhausted(session: Session, number: int, result: StageResult) -> None:
    """Records that a study has every architecture within the limits, so fewer than asked."""
    write_marks(session.study(number), Marks(exhausted=True))
    session.listener.note(
        f"stage {number} has scored every architecture it found within the limits: "
        f"{len(result.records)} of {session.run.stage(number).trials} trials"
    )
