"""Retraining: networks by themselves, the best of a search and those they are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.studies.plan.strategies import from_scratch, supernet_epochs
from hnas.studies.plan.tables import Retrain
from hnas.studies.run.networks import (
    Identity,
    Inherited,
    identity_of,
)
from hnas.studies.run.result import TrainedNetwork, best_trained
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search.alone import train_several, trained
from hnas.studies.search.picks import best
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.search.teacher import lesson
from hnas.studies.trials.record import Record
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
    return [network for network, _ in _trained_networks(session, asked)]


def _trained_networks(
    session: Session, asked: Sequence[Asked]
) -> list[tuple[TrainedNetwork, Glit]]:
    named = [(one, _identity(session, one)) for one in asked]
    train_several(session, [(of, one.what, one.stage) for one, of in named])
    return [_read(session, of, one) for one, of in named]


def retrain_all_global(session: Session, frame: Frame, arch: Arch) -> tuple[TrainedNetwork, Glit]:
    """Trains an all-global network for as long as the winner's weights were.

    From scratch. If the winner started from a supernet that has this network too, it is also
    trained as the winner was, and the better of the two by held-out images is taken.
    """
    last, what = len(session.run.stages), "all-global"
    asked = [Asked(arch=arch, what=what, rules=from_scratch(session.plan), frame=frame)]
    inherits = session.plan.retrain.start == "supernet" and frame == session.plan.net
    if inherits and arch in supernet(session, last).space:
        asked.append(Asked(arch=arch, what=f"{what}, from the supernet", stage=last))
    made = _trained_networks(session, asked)
    best = best_trained(network for network, _ in made)
    return next(both for both in made if both[0] == best)


def retrain_network(
    session: Session, arch: Arch, what: str, *, stage: int = 0
) -> tuple[TrainedNetwork, Glit]:
    """Trains one network by the plan's rules, as `Asked` says, in this process.

    Same rules, same seed: the same weights (CPU).
    """
    asked = Asked(arch=arch, what=what, stage=stage)
    return _read(session, _identity(session, asked), asked)


def _identity(session: Session, asked: Asked) -> Identity:
    plan, rules = session.plan, asked.rules or session.plan.retrain
    return Identity(
        frame=asked.frame or plan.net,
        arch=asked.arch,
        training=rules.training,
        augment=rules.augment,
        split=session.split.fingerprint,
        images=session.split.images,
        seed=plan.search.seed,
        **lesson(session),
        metric=plan.score.metric,
        repeat=asked.repeat,
        start=_inherited(session, asked.stage) if rules.start == "supernet" else None,
        averaging=AVERAGING if rules.training.ema else None,
    )


def _read(session: Session, identity: Identity, asked: Asked) -> tuple[TrainedNetwork, Glit]:
    """The network of an identity, trained if it is not, with its outcome on held-out images."""
    plan, data, training = session.plan, session.data, identity.training
    net, kept = trained(session, identity, asked.what, asked.stage)
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
        kept=kept if kept and (training.ema or kept.epoch < training.epochs) else None,
    )
    return made, net


def refit(
    session: Session, networks: Mapping[str, TrainedNetwork]
) -> list[tuple[TrainedNetwork, Glit]]:
    """Trains networks of the last stage, or all-global ones, by what progress calls them, on
    training and held-out images together.

    Once more by the same rules, for as many epochs as were kept of it, or as the plan says. If the
    plan retrains from a supernet and a network did not start from one, it goes on instead as the
    winner did from the supernet, which had not seen the held-out images either.
    """
    last, made = len(session.run.stages), []
    named = [
        (network, _again(session, network), f"{what}, on all images")
        for what, network in networks.items()
    ]
    train_several(session, [(identity, what, last) for _, identity, what in named])
    for network, identity, what in named:
        net, _ = trained(session, identity, what, last)
        goes_on = identity.continues or session.plan.retrain.refit_epochs
        more = identity.training.epochs if goes_on else 0
        made.append((replace(network, key=identity.key, picked=network.key, more=more), net))
    return made


def _again(session: Session, network: TrainedNetwork) -> Identity:
    """What a network is trained to once more."""
    made_from, kept, plan = identity_of(session.run, network.key), network.kept, session.plan
    goes_on = plan.retrain.start == "supernet" and made_from.start is None
    asked = plan.retrain.training if goes_on else made_from.training
    epochs = kept.epoch if kept and not goes_on else asked.epochs
    rules = replace(
        asked,
        epochs=plan.retrain.refit_epochs or epochs,
        ema=asked.ema if kept is None or kept.averaged else 0.0,
        keep="last",
        patience=0,
    )
    return replace(
        made_from,
        training=rules,
        averaging=AVERAGING if rules.ema else None,
        held_out_too=True,
        **lesson(session, held_out_too=True),
        continues=network.key if goes_on else "",
    )


def _inherited(session: Session, stage: int) -> Inherited:
    return Inherited(
        supernet=weights_hash(supernet(session, stage).state_dict()),
        recalibration=session.plan.score.recalibration,
    )


def _latency(session: Session, frame: Frame, arch: Arch) -> int | None:
    """By the run's table; None if there is none, or it does not know the network."""
    table = session.costs.table
    if table is None:
        return None
    if frame != session.plan.net:
        return table.plain.get(frame.d) if arch == frame.all_global() else None
    return table.of(arch) if set(arch.blocks) <= set(table.blocks) else None
