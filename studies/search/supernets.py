"""Supernets of the stages: each is grown out of those before it and trained on."""

from pathlib import Path

from hnas.exchange.export import load
from hnas.network.supernet import Supernet, extend, grow, inherit
from hnas.persist.record import as_json, recorded
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search.pretrained import begin
from hnas.studies.search.session import Session
from hnas.studies.search.spaces import stage_space
from hnas.studies.search.torchrun import supernet_job
from hnas.training.supernet import train_supernet
from hnas.training.trainer import AVERAGING


def supernet(session: Session, stage: int) -> Supernet:
    """The trained supernet of a stage: read, resumed or trained, with those before it."""
    if stage not in session.supernets:
        before = [supernet(session, earlier) for earlier in range(1, stage)]
        net = _untrained(session, before, stage).to(session.device)
        _train(session, net, stage)
        session.supernets[stage] = net
    return session.supernets[stage]


def _untrained(session: Session, before: list[Supernet], stage: int) -> Supernet:
    """A supernet of the stage's space, with the weights that its training begins from."""
    asked, space = session.run.stage(stage), stage_space(session, stage)
    seed = session.run.seed(f"supernet {stage} weights")
    dropout, initial = asked.training.dropout, asked.training.initial
    if before and not session.plan.pretrained.file:
        *first, last = before
        return grow(last, space, seed=seed, dropout=dropout, initial=initial, before=first)
    net = Supernet(space, dropout=dropout).reset(seed, initial)
    if session.plan.pretrained.file:
        begin(session, net, stage)
        return extend(net, before)
    if asked.init_from:
        inherit(net, load(Path(asked.init_from)).model)
    return net


def _train(session: Session, net: Supernet, stage: int) -> None:
    plan, run = session.plan, session.run
    rules, seed = run.stage(stage).training, run.seed(f"supernet {stage}")
    identity = {
        "space": as_json(net.space),
        "training": recorded(rules),
        "augment": recorded(plan.augment),
        "split": session.split.fingerprint,
        "images": session.split.images,
        "seed": plan.search.seed,
        "initial weights": weights_hash(net.state_dict()),
    }
    if rules.ema:
        identity["averaging"] = AVERAGING
    what, job = f"supernet of stage {stage}", supernet_job(identity, seed)
    context = session.context(what, path=run.supernet(stage), identity=identity, job=job)
    data = session.data
    with session.clock.step(f"supernet of {run.stage(stage).name}"):
        train_supernet(net, data, rules, plan.augment, seed=seed, context=context)
