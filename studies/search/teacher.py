"""The teacher of retraining: a network of the user's, or a small CNN that is trained first."""

from dataclasses import replace

import torch

from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.network.cnn import Cnn
from hnas.persist.record import recorded
from hnas.settings import OWN_TEACHER
from hnas.studies.plan.strategies import from_scratch
from hnas.studies.search.network import judge_of
from hnas.studies.search.session import Session
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.loop import train


def teacher(session: Session) -> Teacher | None:
    """The teacher that the plan names, if any; the CNN is read, resumed or trained.

    Raises InputError if it is not usable, or several processes would train the CNN.
    """
    name = session.plan.retrain.distillation.teacher
    if name and session.teacher is None:
        own = name == OWN_TEACHER
        session.teacher = _trained_cnn(session) if own else load_teacher(name, session.data)
    return session.teacher


def _trained_cnn(session: Session) -> Teacher:
    """A frozen CNN, trained on the same images by the rules of a network from scratch."""
    if session.world.size > 1:
        raise InputError(
            f"the teacher {OWN_TEACHER!r} is trained by one process, and {session.world.size} are "
            "here: start one, or name the file of a network as retrain.distillation.teacher"
        )
    session.tell_agenda()
    plan, run, data = session.plan, session.run, session.data
    asked = from_scratch(plan)
    rules = replace(asked.training, drop_path=0.0, dropout=0.0, ema=0.0)
    net = own_teacher(plan.net).reset(run.seed("teacher weights")).to(session.device)
    identity = {
        "network": OWN_TEACHER,
        **{name: getattr(plan.net, name) for name in ("image", "channels", "classes")},
        "training": recorded(rules),
        "augment": recorded(asked.augment),
        "split": session.split.fingerprint,
        "seed": plan.search.seed,
    }
    judge = judge_of(data, batch=plan.score.batch, metric=plan.score.metric)
    context = session.context(
        "the teacher", path=run.teacher, identity=identity, job={}, judge=judge
    )
    with session.clock.step("the teacher"):
        train(net, data, rules, asked.augment, seed=run.seed("teacher"), context=context)
    same = torch.ones(len(data.mean), 1, 1, device=session.device)
    return Teacher(module=net.requires_grad_(False), scale=same, shift=0 * same)


def own_teacher(frame: Frame) -> Cnn:
    """The CNN for the images of a frame, with no weights yet."""
    return Cnn(image=frame.image, channels=frame.channels, classes=frame.classes)
