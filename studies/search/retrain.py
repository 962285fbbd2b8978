"""Retraining: single networks from scratch, the best of a search and those they are compared with.

A network that is trained is read, one that was interrupted is resumed.
"""

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.studies.plan.plan import Retrain
from hnas.studies.run.networks import Identity, network_path
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.search.network import teacher_hash, train_network, untrained
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import network_job
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.record import Record


def retrain(session: Session) -> list[TrainedNetwork]:
    """Trains the last stage's best from scratch, best score first.

    Raises StateError if that stage is not finished.
    """
    plan = session.plan
    found = session.finished(len(session.run.stages), "retraining")
    best = best_by_score(found, plan.retrain.top, plan.search.objective)
    return [retrain_trial(session, record) for record in best]


def retrain_trial(session: Session, record: Record) -> TrainedNetwork:
    """Trains the network of a trial from scratch."""
    what = f"trial {record.number}"
    return retrain_network(session, record.arch, what, score=record.accuracy)[0]


def retrain_network(
    session: Session,
    arch: Arch,
    what: str,
    *,
    rules: Retrain | None = None,
    frame: Frame | None = None,
    score: float | None = None,
    repeat: int = 0,
) -> tuple[TrainedNetwork, Glit]:
    """Trains one network from scratch; progress calls it `what`.

    Rules and frame are the plan's by default. Same rules, same seed: the same weights (CPU). A
    `repeat` above 0 is the same training from another seed, to judge what was picked by 0.
    """
    plan, data = session.plan, session.data
    frame, rules, teacher = frame or plan.net, rules or plan.retrain, session.teacher
    identity = Identity(
        frame=frame,
        arch=arch,
        training=rules.training,
        augment=rules.augment,
        split=session.split.fingerprint,
        seed=plan.search.seed,
        distillation=rules.distillation if teacher else None,
        teacher=teacher_hash(teacher) if teacher else None,
        repeat=repeat,
    )
    net = _trained(session, identity, what)
    found = evaluate(net, data.held_out, data, batch=plan.score.batch)
    spent = cost(frame, arch)
    made = TrainedNetwork(
        key=identity.key,
        frame=frame,
        arch=arch,
        macs=spent.macs,
        params=spent.params,
        accuracy=found.accuracy,
        loss=found.loss,
        epochs=rules.training.epochs,
        score=score,
        latency_ns=_latency(session, frame, arch),
    )
    return made, net


def _trained(session: Session, identity: Identity, what: str) -> Glit:
    run, net = session.run, untrained(identity)
    net.reset(run.seed(f"network {identity.key}")).to(session.device)
    seed = run.seed(f"training {identity.key}")
    context = session.context(
        f"network of {what}",
        path=network_path(run, identity.key),
        identity=identity.to_dict(),
        job=network_job(identity, seed),
    )
    train_network(net, session.data, identity, session.teacher, seed=seed, context=context)
    return net


def _latency(session: Session, frame: Frame, arch: Arch) -> int | None:
    """By the run's table; None if there is none, or it does not know the network."""
    table = session.costs.table
    if table is None:
        return None
    return table.of(arch) if frame == session.plan.net else table.plain.get(frame.d)
