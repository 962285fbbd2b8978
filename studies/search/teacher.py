"""The teacher of retraining: a network of the user's, or a small CNN that is trained here."""

from dataclasses import replace
from typing import Any

from hnas.architecture.stem import CNN_WIDTHS
from hnas.baselines.cnn import fit
from hnas.network.cnn import Cnn
from hnas.network.glit import Glit
from hnas.settings import OWN_TEACHER
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.run.agenda import TEACHER
from hnas.studies.run.networks import Identity
from hnas.studies.search.network import judge_of, own_teacher, teacher_hash
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import share_teacher
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.processes import ONE_PROCESS


def check_teacher(session: Session) -> None:
    """Notes if it gives no stem, though it should. Raises InputError or CheckpointError if the
    plan's teacher is not usable; trains nothing."""
    plan, rules = session.plan, session.plan.retrain.distillation
    if rules.teacher == OWN_TEACHER:
        own_teacher(plan.net)
    else:
        teacher(session)
    if rules.stem and rules.teacher and not plan.gives_stem:
        session.note_once(
            f"retrain.distillation.stem has no effect. It needs teacher = {OWN_TEACHER!r} (here "
            f"{rules.teacher!r}), search.objective = 'flops' (here {plan.search.objective!r}) and "
            f"a stem of that CNN's first layers, with {', '.join(map(str, CNN_WIDTHS))} channels"
        )


def teacher(session: Session, *, held_out_too: bool = False) -> Teacher | None:
    """The teacher of networks that are trained on held-out images too, or of the others; None if
    they have none (`Retrain.teaches`). The CNN is read, resumed or trained.

    Raises InputError or CheckpointError if the teacher is not usable.
    """
    rules = session.plan.retrain
    if not rules.teaches(held_out_too=held_out_too):
        return None
    name, own = rules.distillation.teacher, rules.distillation.teacher == OWN_TEACHER
    if session.teacher is None:
        session.teacher = _trained_cnn(session) if own else load_teacher(name, session.data)
    return session.teacher


def lesson(session: Session, *, held_out_too: bool = False) -> dict[str, Any]:
    """What the identity of a network says of its teacher, by the names of its fields."""
    plan = session.plan
    if (found := teacher(session, held_out_too=held_out_too)) is None:
        return {"distillation": None, "teacher": None}
    rules = replace(plan.retrain.distillation, stem=plan.gives_stem)
    return {"distillation": rules, "teacher": teacher_hash(found)}


def give_stem(session: Session, identity: Identity, net: Glit) -> None:
    """Gives a network its teacher's convolutions, if its identity says so."""
    if identity.distillation and identity.distillation.stem:
        found = teacher(session, held_out_too=identity.held_out_too)
        assert found and isinstance(found.module, Cnn)
        found.module.give(net.patch_embed)


def _trained_cnn(session: Session) -> Teacher:
    """A frozen CNN, trained as `hnas baselines --cnn` trains it, by this process alone."""
    session.tell_agenda()
    plan, run, data, split = session.plan, session.run, session.data, session.split
    net = own_teacher(plan.net).reset(run.seed("teacher weights")).to(session.device)
    course, of = of_a_cnn(plan), {"split": split.fingerprint, "images": split.images}
    identity = {
        "network": OWN_TEACHER,
        **{name: getattr(plan.net, name) for name in ("image", "channels", "classes")},
        **course.made_from,
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
