"""Networks trained by themselves, each by its identity: in this process, or several at once.

A network that is trained is read, one that was interrupted is resumed.
"""

from collections.abc import Sequence

from hnas.architecture.arch import Arch
from hnas.network.glit import Glit
from hnas.scoring.score import recalibrate
from hnas.studies.run.networks import Identity, network_path, stored_network, trained_alone
from hnas.studies.search.apart import Job
from hnas.studies.search.network import judge_of, train_network, untrained
from hnas.studies.search.processes import crew, training_work
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.search.teacher import give_stem, teacher
from hnas.studies.search.together import Work, train_apart
from hnas.studies.search.torchrun import network_job
from hnas.training.loop import Context
from hnas.training.record import Kept


def train_several(session: Session, several: Sequence[tuple[Identity, str, int]]) -> None:
    """Trains networks, each with what progress calls it and its stage, in other processes, if
    there shall be some; those that are trained already are left out."""
    rules, images = session.plan.retrain, len(session.data.train)
    work = [training_work(of.frame, of.arch, images * of.training.epochs) for of, *_ in several]
    its = crew(rules.processes, session.device, work, ranks=session.world.size)
    of_notebook = rules.distillation.teacher.startswith("__main__:")  # no other process has it
    if its.size == 1 or of_notebook:
        return
    ended = {of.key for of, _, ended in trained_alone(session.run) if ended}
    left = {one[0].key: one for one in several if one[0].key not in ended}
    if left:
        with session.clock.step("networks alone"):
            train_apart(session, [_work(session, *one) for one in left.values()], its)


def trained(
    session: Session, identity: Identity, what: str, stage: int
) -> tuple[Glit, Kept | None]:
    """The network of an identity, read or trained in this process, and which of its weights were
    kept; progress calls it `what`."""
    net = begun(session, identity, stage).to(session.device)
    seed, context = _surroundings(session, identity, what)
    data, taught = session.data, teacher(session, held_out_too=identity.held_out_too)
    if identity.held_out_too:
        data = data.with_held_out()
    with session.clock.step("networks alone"):
        return net, train_network(net, data, identity, taught, seed=seed, context=context)


def begun(session: Session, identity: Identity, stage: int) -> Glit:
    """A network with the weights that its training begins with."""
    run, net = session.run, untrained(identity)
    if identity.continues:
        net.load_state_dict(stored_network(run, identity.continues).state_dict())
    elif identity.start is None:
        net.reset(run.seed(f"network {identity.key}"), identity.training.initial)
    else:
        net.load_state_dict(subnet(session, identity.arch, stage).state_dict())
    give_stem(session, identity, net)
    return net


def _surroundings(session: Session, identity: Identity, what: str) -> tuple[int, Context]:
    """The seed of a training, and its context in this process."""
    run, score = session.run, session.plan.score
    seed = run.seed(f"training {identity.key}")
    context = session.context(
        f"network of {what}",
        path=network_path(run, identity.key),
        identity=identity.to_dict(),
        job=network_job(identity, seed),
        judge=None
        if identity.held_out_too
        else judge_of(session.data, batch=score.batch, metric=score.metric),
    )
    return seed, context


def _work(session: Session, identity: Identity, what: str, stage: int) -> Work:
    """The training of a network, for another process."""
    seed, context = _surroundings(session, identity, what)
    path = network_path(session.run, identity.key)

    def job() -> Job:
        weights = begun(session, identity, stage).state_dict()
        on_cpu = {name: tensor.cpu() for name, tensor in weights.items()}
        return Job(identity=identity, weights=on_cpu, path=path, seed=seed)

    return Work(what=f"network of {what}", context=context, job=job)


def subnet(session: Session, arch: Arch, stage: int) -> Glit:
    """An architecture with the weights that it is scored with in a stage."""
    net = supernet(session, stage)
    return net.extract(arch, recalibrate(net, arch, session.data, session.plan.score))
