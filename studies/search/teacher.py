"""The teacher of retraining: a network of the user's, or a small CNN that is trained here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hnas.persist.record import recorded
from hnas.settings import OWN_TEACHER, TrainingRules
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.run.agenda import TEACHER
from hnas.studies.search.network import judge_of, own_teacher, teacher_hash
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import share_teacher
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.judge import Judge
from hnas.training.loop import Context, Epoch, train
from hnas.training.processes import ONE_PROCESS
from hnas.training.record import Held


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
    (alone, last), seed = of_a_cnn(plan), run.seed("teacher")
    judge = judge_of(data, batch=plan.score.batch, metric=plan.score.metric)
    with session.clock.step(TEACHER):
        context = _surroundings(session, run.teacher, (alone,), judge)
        kept = train(net, data, alone, plan.augment, seed=seed, context=context)
        if last:
            context = _surroundings(session, run.teacher_again, (alone, last))
            images = data.with_held_out()
            train(net, images, last, plan.augment, seed=seed + 1, context=context)
    net.requires_grad_(False)
    if session.world.size > 1:
        of = {"split": session.split.fingerprint, "images": session.split.images}
        share_teacher(net, plan.net, of, session.world)
    assert kept is not None  # it was judged
    session.cnn = Held(accuracy=kept.accuracy, loss=kept.loss)
    same = torch.ones(len(data.mean), 1, 1, device=session.device)
    return Teacher(module=net, scale=same, shift=0 * same)


def _surroundings(
    session: Session, path: Path, trainings: tuple[TrainingRules, ...], judge: Judge | None = None
) -> Context:
    """The context of the last of its trainings."""
    plan = session.plan
    identity = {
        "network": OWN_TEACHER,
        **{name: getattr(plan.net, name) for name in ("image", "channels", "classes")},
        "training": [recorded(rules) for rules in trainings],
        "augment": recorded(plan.augment),
        "split": session.split.fingerprint,
        "images": session.split.images,
        "seed": plan.search.seed,
    }
    context = session.context(TEACHER, path=path, identity=identity, job={}, judge=judge)
    before = sum(rules.epochs for rules in trainings[:-1])
    of_both = sum(rules.epochs for rules in of_a_cnn(plan) if rules)

    def tell(epoch: Epoch) -> None:
        """Both trainings are one step of a search."""
        one = replace(epoch, epoch=before + epoch.epoch, epochs=of_both)
        session.listener.epoch(TEACHER, one)

    return replace(context, world=ONE_PROCESS, on_epoch=tell)
