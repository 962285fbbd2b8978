"""What are pretrained weights worth to a search?

    python -m benchmarks.search.transfer --pretrain CIFAR --weights vit.pth [--epochs 16]
    python -m benchmarks.search.transfer --weights vit.pth DATA[:LIMIT] ... [--seeds 0 1 2]
        [--starts pretrained nothing plain pretrained,KEY=VALUE ...] [--flops 100%] [--share 1]
        [--side 32] [--grid 4] [--json FILE]

The first pretrains a plain ViT of hnas's own on the images of CIFAR (all but a few, which are held
out to see how it goes) and writes it under timm's names. The second searches each DATA, or LIMIT of
its images, from these weights (`hnas search DATA --pretrained`), from nothing (`hnas search DATA`)
and, if asked for, `plain`: the network and space of the weights, but random ones, trained as
nothing is. A start may change rules of its trainings, as `pretrained,layer_decay=1`; `rate=3` is
three times their learning rates. All have the same limit of FLOPs: the share `--flops` of what the
pretrained network has at that image size. Images have at most `--side` pixels a side and `--grid`
patches, and a supernet trains for as many epochs as are proposed for larger ones. `--share`
multiplies the epochs and trials of all.

Printed and written: test accuracy of the winner, trained on all images but the test part, its
FLOPs, and the minutes of CPU of the search without the network that `hnas search` compares its
winner with; of changed rules the difference that they make, seed by seed. The row of a search is
written when it is done; what FILE has is not searched again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.common import machine
from hnas.architecture.space import Frame
from hnas.data import prepare, survey, test_images
from hnas.data.sources.given import give
from hnas.data.sources.load import load
from hnas.device import choose
from hnas.exchange.export import save
from hnas.exchange.import_network import import_network
from hnas.exchange.import_weights import Asked, under_timm_names
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, DataRules, PretrainedRules, TrainingRules
from hnas.studies.plan.change import multiplied, with_values
from hnas.studies.plan.limits import LIMITS, DeviceLimits
from hnas.studies.plan.plan import Plan
from hnas.studies.request.decide import plan_of
from hnas.studies.request.request import Request
from hnas.studies.run.folder import begin_run
from hnas.studies.run.result import best_trained
from hnas.studies.search.retrain import refit, retrain
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.training.loop import Context, Epoch, train

STARTS = ("pretrained", "nothing", "plain")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One search."""

    data: str
    start: str
    seed: int
    accuracy: float
    """Of the winner, on test images."""
    test_images: int
    macs: int
    minutes: float
    """Of CPU."""
    kinds: str
    """Of the winner's blocks."""

    @property
    def what(self) -> tuple[str, str, int]:
        return self.data, self.start, self.seed


def pretrain(source: str, file: Path, *, d: int, patch: int, epochs: int, limit: int) -> float:
    """Trains a plain ViT and writes its weights; its accuracy on held-out images. The file's name
    does not say how images were normalised, so that they are by 0.5, as `hnas import` takes it."""
    half = (0.5,) * 3
    rules = DataRules(source=source, held_out=0.05, limit=limit, mean=half, std=half)
    classes, image = survey(source).classes, 32
    data, _ = prepare(rules, image=image, channels=3, seed=0)
    frame = Frame(
        image=image, channels=3, patch=patch, classes=classes, d=d, M=6, N=3, activation="gelu"
    )
    net = Glit(frame, frame.all_global()).reset(0)
    training = TrainingRules(epochs=epochs, batch=64, lr=1e-3, label_smoothing=0.1)

    def show(epoch: Epoch) -> None:
        print(f"epoch {epoch.epoch} of {epochs}: loss {epoch.loss:.3f}", flush=True)

    augment = AugmentRules(shift=4, flip=True, jitter=0.2)
    train(net, data, training, augment, seed=0, context=Context(on_epoch=show))
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(under_timm_names(net), file)
    return evaluate(net, data.held_out, data, batch=500).accuracy


def source_of(data: str) -> str:
    """DATA, or the first LIMIT of its training images, as many of each class, with all its test
    images: a source of its own, so that what is proposed is for so many images."""
    name, _, limit = data.partition(":")
    if not limit:
        return name
    looks = survey(name)
    whole = load(name, image=looks.side, channels=looks.channels)
    labels, each = whole.train.labels, int(limit) // len(whole.classes)
    rows = [torch.nonzero(labels == c).flatten()[:each] for c in range(len(whole.classes))]
    few = whole.train.take(torch.cat(rows).sort().values)
    parts = [few] if whole.test is None else [few, whole.test]
    return give(tuple(half for part in parts for half in (part.tensor(), part.labels)))


def small(side: int, grid: int) -> DeviceLimits:
    """The limits of a CPU, for smaller images: with work in proportion to the patches."""
    cpu = LIMITS["cpu"]
    work = cpu.work * grid**2 // cpu.grid**2
    return replace(cpu, side=side, grid=grid, work=work, retrained=2, trials=50)


def plans(source: str, file: Path, *, flops: str, share: float, seed: int) -> dict[str, Plan]:
    """The plan from each of STARTS, with the same limit of FLOPs."""
    asked = Request(data=source, seed=seed, device="cpu")
    begun, _, _ = plan_of(replace(asked, pretrained=str(file), flops=flops))
    assert begun.search.flops is not None
    nothing, _, _ = plan_of(replace(asked, flops=begun.search.flops))
    plain = replace(
        begun,
        pretrained=PretrainedRules(),
        stage1=replace(begun.stage1, training=nothing.stage1.training),
        stage2=replace(begun.stage2, training=nothing.stage2.training),
        retrain=nothing.retrain,
    )
    made = zip(STARTS, (begun, nothing, plain), strict=True)
    return {name: multiplied(plan, share) for name, plan in made}


def changed(plan: Plan, changes: str) -> Plan:
    """The plan with KEY=VALUE, as many as there are between commas, in all its trainings (`subnets`
    are a supernet's); `rate` multiplies their `lr`. Raises InputError for what is no rule."""
    values: dict[str, object] = {}
    trainings = {name: getattr(plan, name).training for name in ("stage1", "stage2", "retrain")}
    for key, _, value in (change.partition("=") for change in changes.split(",")):
        for name, rules in trainings.items():
            if key == "rate":
                values[f"{name}.training.lr"] = rules.lr * float(value)
            elif not (key == "subnets" and name == "retrain"):
                values[f"{name}.training.{key}"] = value
    return with_values(plan, values)


def search(data: str, start: str, plan: Plan, folder: Path) -> Found:
    """One search in a new run: its stages, its best network trained on all images, the test."""
    began = time.process_time()
    run = begin_run(folder, plan)
    with run.hold(), closing(Session(run, choose("cpu"))) as session:
        for number in range(1, len(run.stages) + 1):
            search_stage(session, number)
        picked = best_trained(retrain(session))
        [(winner, net)] = refit(session, {"the winner": picked})
        sizes = {"image": plan.net.image, "channels": plan.net.channels}
        test = test_images(plan.data, **sizes, split=session.split)
        score = evaluate(net, test, session.data, batch=plan.score.batch)
    return Found(
        data=data,
        start=start,
        seed=plan.search.seed,
        accuracy=score.accuracy,
        test_images=len(test),
        macs=winner.macs,
        minutes=(time.process_time() - began) / 60,
        kinds=" ".join(block.kind for block in winner.arch.blocks),
    )


def table(found: list[Found]) -> str:
    """A row for each data and start: means over the seeds, and the accuracy of each."""
    lines = [
        f"{'data':28} {'start':28} {'test accuracy':>14} {'MACs':>13} {'minutes':>8}  each seed"
    ]
    for data, start in sorted({(one.data, one.start) for one in found}):
        own = [one for one in found if (one.data, one.start) == (data, start)]
        accuracy, macs, minutes = (
            statistics.fmean(getattr(one, name) for one in own)
            for name in ("accuracy", "macs", "minutes")
        )
        each = " ".join(f"{one.accuracy:.4f}" for one in own)
        row = f"{data:28} {start:28} {accuracy:14.4f} {macs:13,.0f} {minutes:8.1f}  {each}"
        lines.append(row)
    return "\n".join([*lines, *differences(found)])


def differences(found: list[Found]) -> list[str]:
    """Of each data and changed start: its accuracy less that of the start as it was, the mean over
    the seeds of both and its standard error."""
    accuracy, lines = {one.what: one.accuracy for one in found}, []
    for data, start in sorted({(one.data, one.start) for one in found if "," in one.start}):
        was = {seed: (data, start.partition(",")[0], seed) for _, _, seed in accuracy}
        both = [seed for seed in was if {was[seed], (data, start, seed)} <= accuracy.keys()]
        own = [accuracy[data, start, seed] - accuracy[was[seed]] for seed in both]
        if len(own) > 1:
            error = statistics.stdev(own) / math.sqrt(len(own))
            mean = statistics.fmean(own)
            lines.append(f"{data:28} {start:28} {mean:+14.4f} +- {error:.4f}, {len(own)} seeds")
    return lines


def searched(
    wanted: list[tuple[str, str, int]],
    done: list[Found],
    one: Callable[[str, str, int], Found],
    kept: Callable[[list[Found]], None],
) -> list[Found]:
    """Those that are `done`, and all others of `wanted`, kept one by one."""
    found = list(done)
    for what in wanted:
        if what not in {row.what for row in found}:
            found.append(one(*what))
            kept(found)
            print(table(found[-1:]).splitlines()[1], flush=True)
    return found


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", metavar="DATA[:LIMIT]")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--pretrain", metavar="CIFAR")
    for name, default in (("d", 96), ("patch", 8), ("epochs", 16), ("limit", 0)):
        parser.add_argument(f"--{name}", type=int, default=default, help="of pretraining")
    for name, default in (("groups", 3), ("heads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default, help="of the weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--starts", nargs="+", metavar="START[,KEY=VALUE]", default=STARTS[:2])
    parser.add_argument("--flops", default="100%")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--grid", type=int, default=4, help="patches a side")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if other := {start.partition(",")[0] for start in args.starts} - set(STARTS):
        parser.error(f"--starts begin with one of {', '.join(STARTS)}, got {', '.join(other)}")
    choose("cpu")
    torch.set_num_threads(args.threads)
    if args.pretrain:
        sizes = {name: getattr(args, name) for name in ("d", "patch", "epochs", "limit")}
        accuracy = pretrain(args.pretrain, args.weights, **sizes)
        print(f"Wrote {args.weights}: {accuracy:.4f} on held-out images")
    if not args.data:
        return
    asked = {name: getattr(args, name) for name in ("flops", "share", "side", "grid")}
    about = {"machine": machine(args.threads), "asked": asked}
    done: list[Found] = []
    if args.json and args.json.exists():
        before = json.loads(args.json.read_text())
        if before["asked"] != asked:
            parser.error(f"{args.json} was asked {before['asked']}, and now it is {asked}")
        done, about = [Found(**row) for row in before["searches"]], before

    def kept(found: list[Found]) -> None:
        if args.json:
            rows = [asdict(one) for one in found]
            args.json.write_text(json.dumps(about | {"searches": rows}, indent=1) + "\n")

    sources = {Path(data).name: source_of(data) for data in args.data}
    weights = import_network(args.weights, Asked(groups=args.groups, heads=args.heads))
    with tempfile.TemporaryDirectory() as place:
        save(weights.network, plain := Path(place) / "vit")

        def one(data: str, start: str, seed: int) -> Found:
            shares = {"flops": args.flops, "share": args.share}
            with patch.dict(LIMITS, cpu=small(args.side, args.grid)):
                begun, _, changes = start.partition(",")
                plan = plans(sources[data], plain, **shares, seed=seed)[begun]
            plan = changed(plan, changes) if changes else plan
            run = f"{data}-{start}-{seed}".replace(":", "-")
            return search(data, start, plan, Path(place) / run)

        wanted = [(d, s, seed) for seed in args.seeds for d in sources for s in args.starts]
        print(table(searched(wanted, done, one, kept)))


if __name__ == "__main__":
    main()
