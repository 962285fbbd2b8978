"""Retraining: networks by themselves, the best of a search and those they are compared with.

A network that is trained is read, one that was interrupted is resumed.
"""

from dataclasses import replace

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
)
from hnas.studies.run.result import TrainedNetwork, best_trained
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search.network import judge_of, teacher_hash, train_network, untrained
from hnas.studies.search.picks import best
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.search.teacher import teacher
from hnas.studies.search.torchrun import network_job
from hnas.studies.trials.record import Record
from hnas.training.record import Kept
from hnas.training.trainer import AVERAGING


def retrain(session: Session) -> list[TrainedNetwork]:
    """Trains the last stage's best, the best first by the plan's `search.pick`.

    Raises StateError if that stage is not finished.
    """
    plan, last = session.plan, len(session.run.stages)
    found = session.finished(last, "retraining")
    candidates = best(session, last, found, plan.retrain.top)
    return [retrain_trial(session, record, stage=last) for record in candidates]


def retrain_trial(session: Session, record: Record, *, stage: int) -> TrainedNetwork:
    """Trains the network of a stage's trial."""
    what = f"trial {record.number}"
    return retrain_network(session, record.arch, what, score=record.accuracy, stage=stage)[0]


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
    score: float | None = None,
    repeat: int = 0,
    stage: int = 0,
) -> tuple[TrainedNetwork, Glit]:
    """Trains one network; progress calls it `what`.

    Rules and frame are the plan's by default. Rules that start from a supernet take that of the
    `stage`. Same rules, same seed: the same weights (CPU). A `repeat` above 0 is the same training
    from another seed, to judge what was picked by 0.
    """
    plan, data = session.plan, session.data
    frame, rules, taught = frame or plan.net, rules or plan.retrain, teacher(session)
    inherits = rules.start == "supernet"
    identity = Identity(
        frame=frame,
        arch=arch,
        training=rules.training,
        augment=rules.augment,
        split=session.split.fingerprint,
        images=session.split.images,
        seed=plan.search.seed,
        distillation=rules.distillation if taught else None,
        teacher=teacher_hash(taught) if taught else None,
        metric=plan.score.metric,
        repeat=repeat,
        start=_inherited(session, stage) if inherits else None,
        averaging=AVERAGING if rules.training.ema else None,
    )
    net, kept = _trained(session, identity, what, stage)
    found = evaluate(net, data.held_out, data, batch=plan.score.batch, metric=plan.score.metric)
    spent = cost(frame, arch)
    made = TrainedNetwork(
        key=identity.key,
        frame=frame,
        arch=arch,
        macs=spent.macs,
        params=spent.params,
        accuracy=found.accuracy,
        loss=found.loss,
        right=found.right,
        epochs=rules.training.epochs,
        score=score,
        latency_ns=_latency(session, frame, arch),
        inherited=supernet_epochs(plan, stage) if inherits else 0,
        kept=kept if kept and (kept.averaged or kept.epoch < rules.training.epochs) else None,
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
    run, net, score = session.run, untrained(identity), session.plan.score
    if identity.continues:
        net.load_state_dict(stored_network(run, identity.continues).state_dict())
    elif identity.start is None:
        net.reset(run.seed(f"network {identity.key}"), identity.training.initial)
    else:
        net.load_state_dict(subnet(session, identity.arch, stage).state_dict())
    net.to(session.device)
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
    data, taught = session.data, teacher(session)
    if identity.held_out_too:
        data = data.with_held_out()
    with session.clock.step("networks alone"):
        return net, train_network(net, data, identity, taught, seed=seed, context=context)


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
