"""Retraining: networks by themselves, the best of a search and those they are compared with.

A network that is trained is read, one that was interrupted is resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate, recalibrate
from hnas.studies.plan.strategies import from_scratch, supernet_epochs
from hnas.studies.plan.tables import Retrain
from hnas.studies.run.networks import (
    Identity,
    Inherited,
    identity_of,
    network_path,
    stored_network,
    trained_alone,
)
from hnas.studies.run.result import TrainedNetwork, best_trained
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search.apart import Job
from hnas.studies.search.network import judge_of, teacher_hash, train_network, untrained
from hnas.studies.search.picks import best
from hnas.studies.search.processes import crew, training_work
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.search.teacher import teacher
from hnas.studies.search.together import Work, train_apart
from hnas.studies.search.torchrun import network_job
from hnas.studies.trials.record import Record
from hnas.training.loop import Context
from hnas.training.record import Kept
from hnas.training.trainer import AVERAGING


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A network to train by itself."""

    arch: Arch
    what: str
    """As progress calls it."""
    rules: Retrain | None = None
    """The plan's by default. Rules that start from a supernet take that of the `stage`."""
    frame: Frame | None = None
    """The plan's by default."""
    score: float | None = None
    repeat: int = 0
    """Above 0: the same training from another seed, to judge what was picked by 0."""
    stage: int = 0


def retrain(session: Session) -> list[TrainedNetwork]:
    """Trains the last stage's best, the best first by the plan's `search.pick`.

    Raises StateError if that stage is not finished.
    """
    plan, last = session.plan, len(session.run.stages)
    found = session.finished(last, "retraining")
    candidates = best(session, last, found, plan.retrain.top)
    return retrain_trials(session, candidates, stage=last)


def retrain_trials(
    session: Session, records: Sequence[Record], *, stage: int
) -> list[TrainedNetwork]:
    """Trains the networks of a stage's trials."""
    asked = [
        Asked(arch=one.arch, what=f"trial {one.number}", score=one.accuracy, stage=stage)
        for one in records
    ]
    return retrain_networks(session, asked)


def retrain_networks(session: Session, asked: Sequence[Asked]) -> list[TrainedNetwork]:
    """Trains networks, and gives them in their order.

    Several at the same time, each in a process of its own, if the plan says so or it pays: the
    weights are the same however many of them run at once.
    """
    plan = session.plan
    named = {one: _identity(session, one) for one in asked}
    work = [training_work(of, len(session.data.train)) for of in named.values()]
    several = crew(plan.retrain.processes, session.device, work, ranks=session.world.size)
    if several.size > 1:
        ended = {of.key for of, _, ended in trained_alone(session.run) if ended}
        left = {of.key: one for one, of in named.items() if of.key not in ended}
        with session.clock.step("networks alone"):
            works = [_work(session, named[one], one) for one in left.values()]
            train_apart(session, works, several)
    return [_read(session, named[one], one)[0] for one in asked]


def retrain_all_global(session: Session, frame: Frame, arch: Arch) -> tuple[TrainedNetwork, Glit]:
    """Trains an all-global network for as long as the winner's weights were.

    From scratch. If the winner started from a supernet that has this network too, it is also
    trained as the winner was, and the better of the two by held-out images is taken.
    """
    last, what = len(session.run.stages), "all-global"
    made = [retrain_network(session, arch, what, rules=from_scratch(session.plan), frame=frame)]
    inherits = session.plan.retrain.start == "supernet" and frame == session.plan.net
    if inherits and arch in supernet(session, last).space:
        what = "all-global, from the supernet"
        made.append(retrain_network(session, arch, what, stage=last))
    best = best_trained(network for network, _ in made)
    return next(both for both in made if both[0] == best)


def retrain_network(
    session: Session,
    arch: Arch,
    what: str,
    *,
    rules: Retrain | None = None,
    frame: Frame | None = None,
    repeat: int = 0,
    stage: int = 0,
) -> tuple[TrainedNetwork, Glit]:
    """Trains one network, as `Asked` says, in this process.

    Same rules, same seed: the same weights (CPU).
    """
    asked = Asked(arch=arch, what=what, rules=rules, frame=frame, repeat=repeat, stage=stage)
    return _read(session, _identity(session, asked), asked)


def _identity(session: Session, asked: Asked) -> Identity:
    plan, taught = session.plan, teacher(session)
    rules = asked.rules or plan.retrain
    return Identity(
        frame=asked.frame or plan.net,
        arch=asked.arch,
        training=rules.training,
        augment=rules.augment,
        split=session.split.fingerprint,
        images=session.split.images,
        seed=plan.search.seed,
        distillation=rules.distillation if taught else None,
        teacher=teacher_hash(taught) if taught else None,
        metric=plan.score.metric,
        repeat=asked.repeat,
        start=_inherited(session, asked.stage) if rules.start == "supernet" else None,
        averaging=AVERAGING if rules.training.ema else None,
    )


def _read(session: Session, identity: Identity, asked: Asked) -> tuple[TrainedNetwork, Glit]:
    """The network of an identity, trained if it is not, with its outcome on held-out images."""
    plan, data, training = session.plan, session.data, identity.training
    net, kept = _trained(session, identity, asked.what, asked.stage)
    found = evaluate(net, data.held_out, data, batch=plan.score.batch, metric=plan.score.metric)
    spent = cost(identity.frame, identity.arch)
    made = TrainedNetwork(
        key=identity.key,
        frame=identity.frame,
        arch=identity.arch,
        macs=spent.macs,
        params=spent.params,
        accuracy=found.accuracy,
        loss=found.loss,
        right=found.right,
        epochs=training.epochs,
        score=asked.score,
        latency_ns=_latency(session, identity.frame, identity.arch),
        inherited=supernet_epochs(plan, asked.stage) if identity.start else 0,
        kept=kept if kept and (kept.averaged or kept.epoch < training.epochs) else None,
    )
    return made, net


def refit(session: Session, network: TrainedNetwork, what: str) -> tuple[TrainedNetwork, Glit]:
    """Trains a network of the last stage, or an all-global one, on training and held-out images
    together.

    Once more by the same rules, for as many epochs as were kept of it, or as the plan says. If the
    plan retrains from a supernet and the network did not start from one, it goes on instead as the
    winner did from the supernet, which had not seen the held-out images either.
    """
    made_from, kept, plan = identity_of(session.run, network.key), network.kept, session.plan
    goes_on = plan.retrain.start == "supernet" and made_from.start is None
    asked = plan.retrain.training if goes_on else made_from.training
    again = kept.epoch if kept and not goes_on else asked.epochs
    again = plan.retrain.refit_epochs or again
    rules = replace(
        asked,
        epochs=again,
        ema=asked.ema if kept is None or kept.averaged else 0.0,
        keep="last",
        patience=0,
    )
    identity = replace(
        made_from,
        training=rules,
        averaging=AVERAGING if rules.ema else None,
        held_out_too=True,
        continues=network.key if goes_on else "",
    )
    net, _ = _trained(session, identity, f"{what}, on all images", len(session.run.stages))
    more = again if goes_on or plan.retrain.refit_epochs else 0
    return replace(network, key=identity.key, picked=network.key, more=more), net


def _inherited(session: Session, stage: int) -> Inherited:
    return Inherited(
        supernet=weights_hash(supernet(session, stage).state_dict()),
        recalibration=session.plan.score.recalibration,
    )


def _trained(
    session: Session, identity: Identity, what: str, stage: int
) -> tuple[Glit, Kept | None]:
    net = _begun(session, identity, stage).to(session.device)
    seed, context = _surroundings(session, identity, what)
    data, taught = session.data, teacher(session)
    if identity.held_out_too:
        data = data.with_held_out()
    with session.clock.step("networks alone"):
        return net, train_network(net, data, identity, taught, seed=seed, context=context)


def _begun(session: Session, identity: Identity, stage: int) -> Glit:
    """A network with the weights that its training begins with."""
    run, net = session.run, untrained(identity)
    if identity.continues:
        net.load_state_dict(stored_network(run, identity.continues).state_dict())
    elif identity.start is None:
        net.reset(run.seed(f"network {identity.key}"), identity.training.initial)
    else:
        net.load_state_dict(subnet(session, identity.arch, stage).state_dict())
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


def _work(session: Session, identity: Identity, asked: Asked) -> Work:
    """The training of a network, for another process."""
    seed, context = _surroundings(session, identity, asked.what)
    path = network_path(session.run, identity.key)

    def job() -> Job:
        weights = _begun(session, identity, asked.stage).state_dict()
        on_cpu = {name: tensor.cpu() for name, tensor in weights.items()}
        return Job(identity=identity, weights=on_cpu, path=path, seed=seed)

    return Work(what=f"network of {asked.what}", context=context, job=job)


def subnet(session: Session, arch: Arch, stage: int) -> Glit:
    """An architecture with the weights that it is scored with in a stage."""
    net = supernet(session, stage)
    return net.extract(arch, recalibrate(net, arch, session.data, session.plan.score))


def _latency(session: Session, frame: Frame, arch: Arch) -> int | None:
    """By the run's table; None if there is none, or it does not know the network."""
    table = session.costs.table
    if table is None:
        return None
    return table.of(arch) if frame == session.plan.net else table.plain.get(frame.d)
