"""The teacher of retraining: a network of the user's, or a small CNN that is trained here."""

from dataclasses import replace
from functools import partial
from typing import Any

from hnas.baselines.cnn import fit
from hnas.persist.record import recorded
from hnas.settings import OWN_TEACHER, TrainingRules
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.run.agenda import TEACHER
from hnas.studies.search.network import judge_of, own_teacher, teacher_hash
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import share_teacher
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.loop import Context, Epoch
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
    plan, run, data = session.plan, session.run, session.data
    net = own_teacher(plan.net).reset(run.seed("teacher weights")).to(session.device)
    with session.clock.step(TEACHER):
        session.cnn = fit(
            net,
            data,
            _trainings(session),
            plan.augment,
            seed=run.seed("teacher"),
            metric=plan.score.metric,
        )
    if session.world.size > 1:
        of = {"split": session.split.fingerprint, "images": session.split.images}
        share_teacher(net, plan.net, of, session.world)
    return Teacher.of(net, data)


def _trainings(session: Session) -> list[tuple[TrainingRules, Context]]:
    """The CNN's trainings and their surroundings. In progress they are one step of the search."""
    plan, split, found = session.plan, session.split, []
    trainings = of_a_cnn(plan)
    epochs = [rules.epochs for rules in trainings]
    for number, rules in enumerate(trainings):
        identity = {
            "network": OWN_TEACHER,
            **{name: getattr(plan.net, name) for name in ("image", "channels", "classes")},
            "training": [recorded(one) for one in trainings[: number + 1]],
            "augment": recorded(plan.augment),
            "split": split.fingerprint,
            "images": split.images,
            "seed": plan.search.seed,
        }
        judge = judge_of(session.data, batch=plan.score.batch, metric=plan.score.metric)
        context = session.context(
            TEACHER,
            path=session.run.teacher[number],
            identity=identity,
            job={},
            judge=None if number else judge,
        )
        tell = partial(_tell, session, sum(epochs[:number]), sum(epochs))
        found.append((rules, replace(context, world=ONE_PROCESS, on_epoch=tell)))
    return found


def _tell(session: Session, before: int, of: int, epoch: Epoch) -> None:
    session.listener.epoch(TEACHER, replace(epoch, epoch=before + epoch.epoch, epochs=of))
