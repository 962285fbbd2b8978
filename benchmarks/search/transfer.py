"""What are pretrained weights worth to a search?

    python -m benchmarks.search.transfer --pretrain CIFAR --weights vit.pth [--epochs 25]
    python -m benchmarks.search.transfer --weights vit.pth DATA[:LIMIT] ... [--seeds 0 1 2]
        [--flops 100%] [--share 1] [--json FILE]

The first pretrains a plain ViT of hnas's own on the images of CIFAR (all but a few, which are held
out to see how it goes) and writes it under timm's names. The second searches each DATA, or LIMIT of
its images, from these weights (`hnas search DATA --pretrained`) and from nothing (`hnas search
DATA`), with the same limit of FLOPs: the share `--flops` of what the pretrained network has at that
image size. `--share` multiplies the epochs and trials of both. Printed and written: test accuracy
of the winner, its FLOPs and the minutes of the search.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

import hnas
from benchmarks.common import machine
from hnas.architecture.space import Frame
from hnas.data import prepare, survey
from hnas.exchange.import_weights import under_timm_names
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.studies.plan.change import multiplied
from hnas.studies.plan.plan import Plan
from hnas.studies.request.decide import plan_of
from hnas.studies.request.request import Request
from hnas.training.loop import Context, Epoch, train

STARTS = ("pretrained", "nothing")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One search."""

    data: str
    start: str
    seed: int
    accuracy: float
    """Of the winner, on test images."""
    macs: int
    minutes: float
    """On the clock."""


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
    training = TrainingRules(epochs=epochs, lr=1e-3, label_smoothing=0.1, mixup=0.2)

    def show(epoch: Epoch) -> None:
        print(f"epoch {epoch.epoch} of {epochs}: loss {epoch.loss:.3f}", flush=True)

    augment = AugmentRules(shift=4, flip=True, jitter=0.2)
    train(net, data, training, augment, seed=0, context=Context(on_epoch=show))
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(under_timm_names(net), file)
    return evaluate(net, data.held_out, data, batch=500).accuracy


def plans(data: str, file: Path, *, flops: str, share: float, seed: int) -> dict[str, Plan]:
    """The plan from each of STARTS, with the same limit of FLOPs."""
    source, _, limit = data.partition(":")
    values = {"data.limit": int(limit)} if limit else {}
    asked = Request(data=source, seed=seed, set=values, device="cpu")
    begun, _, _ = plan_of(replace(asked, pretrained=str(file), flops=flops))
    assert begun.search.flops is not None
    nothing, _, _ = plan_of(replace(asked, flops=begun.search.flops))
    return {
        name: multiplied(plan, share) for name, plan in zip(STARTS, (begun, nothing), strict=True)
    }


def search(data: str, start: str, plan: Plan, runs: Path) -> Found:
    """One search, in a run of its own."""
    began, seed = time.monotonic(), plan.search.seed
    run = runs / f"{Path(data.partition(':')[0]).name}-{start}-{seed}"
    result = hnas.search(plan=plan, run=run, device="cpu").result
    assert result is not None and result.winner.test_accuracy is not None
    return Found(
        data=Path(data).name,
        start=start,
        seed=seed,
        accuracy=result.winner.test_accuracy,
        macs=result.winner.macs,
        minutes=(time.monotonic() - began) / 60,
    )


def table(found: list[Found]) -> str:
    """A row for each data and start: means over the seeds."""
    lines = [f"{'data':32} {'start':11} {'test accuracy':>14} {'MACs':>13} {'minutes':>8}  seeds"]
    for data, start in dict.fromkeys((one.data, one.start) for one in found):
        own = [one for one in found if (one.data, one.start) == (data, start)]
        accuracy, macs, minutes = (
            statistics.fmean(getattr(one, name) for one in own)
            for name in ("accuracy", "macs", "minutes")
        )
        row = f"{data:32} {start:11} {accuracy:14.4f} {macs:13,.0f} {minutes:8.1f}  {len(own)}"
        lines.append(row)
    return "\n".join(lines)


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", metavar="DATA[:LIMIT]")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--pretrain", metavar="CIFAR")
    for name, default in (("d", 192), ("patch", 4), ("epochs", 25), ("limit", 0)):
        parser.add_argument(f"--{name}", type=int, default=default, help="of pretraining")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--flops", default="100%")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, help="where the runs are kept; else nowhere")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.pretrain:
        sizes = {name: getattr(args, name) for name in ("d", "patch", "epochs", "limit")}
        accuracy = pretrain(args.pretrain, args.weights, **sizes)
        print(f"Wrote {args.weights}: {accuracy:.4f} on held-out images")
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in args.seeds:
            for data in args.data:
                made = plans(data, args.weights, flops=args.flops, share=args.share, seed=seed)
                for start, plan in made.items():
                    found.append(search(data, start, plan, args.runs or Path(folder)))
                    print(table(found[-1:]).splitlines()[1], flush=True)
    if found:
        print(table(found))
    if args.json:
        rows = [asdict(one) for one in found]
        report = {"machine": machine(args.threads), "flops": args.flops, "share": args.share}
        args.json.write_text(json.dumps(report | {"searches": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
