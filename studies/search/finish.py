"""The end of a search: the best retrained network and an all-global one of nearly equal cost are
tested, once, and simple models on the same images."""

import time
from dataclasses import replace

from torch import Tensor

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.baselines.measure import measure
from hnas.baselines.record import Baseline
from hnas.cost.flops import plain_behind, plain_vit
from hnas.data import Images, test_images
from hnas.device import describe
from hnas.network.glit import Glit
from hnas.scoring.score import logits_of, score_of
from hnas.studies.objective.costs import OBJECTIVES
from hnas.studies.run import result as results
from hnas.studies.run.confusion import Confusion
from hnas.studies.run.result import Result, TrainedNetwork
from hnas.studies.search.retrain import refit, retrain, retrain_all_global, retrain_network
from hnas.studies.search.session import Session
from hnas.studies.search.teacher import teacher


def finish(session: Session) -> Result:
    """The answer: `result.json`, made once. It alone tests on the test images."""
    if (done := results.read_result(session.run)) is not None:
        return done
    teacher(session, held_out_too=session.plan.retrain.refit)  # a CNN is the first to be trained
    candidates = retrain(session)
    winner = results.best_trained(candidates)
    plain, plain_net = retrain_all_global(session, *plain_network(session, winner))
    last = len(session.run.stages)
    _, winner_net = retrain_network(session, winner.arch, "the winner", stage=last)
    if session.plan.retrain.refit:
        networks = {"the winner": winner, "all-global": plain}
        (winner, winner_net), (plain, plain_net) = refit(session, networks)
    with session.clock.step("the test"):
        test = _test_images(session)
        (winner, ours), (plain, theirs) = (
            _tested(session, network, net, test)
            for network, net in ((winner, winner_net), (plain, plain_net))
        )
        baselines, no_baselines = _baselines(session, test)
        if (cnn := session.cnn) is not None:
            tested = cnn.tested(test, session.data, metric=session.plan.score.metric)
            given = session.plan.gives_stem
            baselines += (replace(tested, taught=True, gave_stem=given),)
    result = Result(
        test_images=len(test),
        environment=describe(session.device),
        candidates=tuple(candidates),
        winner=winner,
        all_global=plain,
        inputs=_inputs(session),
        baselines=baselines,
        no_baselines=no_baselines,
        metric=session.plan.score.metric,
        images=session.split.images,
        apart=(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))
        if session.plan.score.metric == "accuracy"
        else (),
    )
    results.write_result(session.run, result)
    session.listener.finished(session.run)
    return result


def plain_network(session: Session, winner: TrainedNetwork) -> tuple[Frame, Arch]:
    """The all-global network that the winner is compared with: equal in what the search minimises.

    Of nearly its FLOPs, and behind the same stem if that begins with the teacher's convolutions; or
    the widest measured one that takes no longer; or, if both are minimised, the narrower of the
    two.
    """
    net, table, found = session.plan.net, session.costs.table, []
    minimised = OBJECTIVES[session.plan.search.objective]
    if "macs" in minimised:
        equal = plain_behind if session.plan.gives_stem else plain_vit
        found.append(equal(net, winner.macs))
    if "latency" in minimised and table is not None:
        frame = replace(net, d=table.widest(table.of(winner.arch)))
        found.append((frame, frame.all_global()))
    return min(found, key=lambda one: one[0].d)


def _test_images(session: Session) -> Images:
    plan, net = session.plan, session.plan.net
    test = test_images(plan.data, image=net.image, channels=net.channels, split=session.split)
    return test.to(session.device)


def _tested(
    session: Session, network: TrainedNetwork, model: Glit, test: Images
) -> tuple[TrainedNetwork, Tensor]:
    """The network with its test accuracy, and which images (n,) it is right on."""
    began = time.perf_counter()
    logits = logits_of(model, test, session.data, batch=session.plan.score.batch)
    found = score_of(logits, test.labels, began, metric=session.plan.score.metric)
    given = logits.argmax(dim=1)
    confusion = Confusion.of(test.labels.tolist(), given.tolist(), len(session.data.classes))
    tested = replace(
        network, test_accuracy=found.accuracy, test_error=found.error, confusion=confusion
    )
    return tested, given == test.labels


def _baselines(session: Session, test: Images) -> tuple[tuple[Baseline, ...], str]:
    """Simple models on the same images, or the reason why there are none."""
    most, data = session.plan.baselines.images, session.data
    images = len(data.train) + len(data.held_out)
    if images <= most:
        return tuple(measure(data, test, session.plan.score.metric)), ""
    if not most:
        return (), ""
    return (), (
        f"No simple models were fitted: {images:,} images are more than the plan's "
        f"baselines.images = {most:,}."
    )


def _inputs(session: Session) -> results.Inputs:
    data, net = session.data, session.plan.net
    mean, std = (tuple(values.tolist()) for values in (data.mean, data.std))
    return results.Inputs(
        image=net.image,
        channels=net.channels,
        classes=data.classes,
        mean=mean,
        std=std,
        background=session.plan.data.background,
        interpolation=session.plan.data.interpolation,
        crop_pct=session.plan.data.crop_pct,
    )
