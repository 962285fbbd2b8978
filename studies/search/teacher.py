"""The teacher of retraining: a network of the user's, or a small CNN that is trained here."""

from dataclasses import replace
from typing import Any

from hnas.baselines.cnn import fit
from hnas.persist.record import recorded
from hnas.settings import OWN_TEACHER
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.run.agenda import TEACHER
from hnas.studies.search.network import judge_of, own_teacher, teacher_hash
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import share_teacher
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.processes import ONE_PROCESS


def check_teacher(session: Session) -> None:
    """Raises InputError or CheckpointError if the plan's teacher is not usable; trains nothing."""
    if session.plan.retrain.distillation.teacher == OWN_TEACHER:
        own_teacher(session.plan.net)
    else:
        teacher(session)


def teacher(session: Session, *, held_out_too: bool = False) -> Teacher | None:
    """The teacher of networks that are trained on held-out images too, or of the others; None if
    they have none. The CNN is read, resumed or trained.

    If the plan refits, the CNN sees the held-out images, so that it teaches the last training
    alone: networks that learned from it could not be judged on them. Raises InputError or
    CheckpointError if the teacher is not usable.
    """
    rules = session.plan.retrain
    name, own = rules.distillation.teacher, rules.distillation.teacher == OWN_TEACHER
    if not name or (own and rules.refit and not held_out_too):
        return None
    if session.teacher is None:
        session.teacher = _trained_cnn(session) if own else load_teacher(name, session.data)
    return session.teacher


def lesson(session: Session, *, held_out_too: bool = False) -> dict[str, Any]:
    """What the identity of a network says of its teacher, by the names of its fields."""
    found = teacher(session, held_out_too=held_out_too)
    return {
        "distillation": session.plan.retrain.distillation if found else None,
        "teacher": teacher_hash(found) if found else None,
    }


def _trained_cnn(session: Session) -> Teacher:
    """A frozen CNN, trained as `hnas baselines --cnn` trains it, by this process alone."""
    session.tell_agenda()
    plan, run, data, split = session.plan, session.run, session.data, session.split
    net = own_teacher(plan.net).reset(run.seed("teacher weights")).to(session.device)
    course, of = of_a_cnn(plan), {"split": split.fingerprint, "images": split.images}
    identity = {
        "network": OWN_TEACHER,
        **{name: getattr(plan.net, name) for name in ("image", "channels", "classes")},
        **recorded(course),
        **of,
        "seed": plan.search.seed,
    }
    judge = judge_of(data, batch=plan.score.batch, metric=course.metric)
    context = session.context(
        TEACHER,
        path=run.teacher,
        identity=identity,
        job={},
        judge=None if course.held_out_too else judge,
    )
    context = replace(context, world=ONE_PROCESS)
    with session.clock.step(TEACHER):
        session.cnn = fit(net, data, course, seed=run.seed("teacher"), context=context)
    if session.world.size > 1:
        share_teacher(net, plan.net, of, session.world)
    return Teacher.of(net, data)
