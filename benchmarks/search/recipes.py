"""Which network and which recipe learn from few images?

    python -m benchmarks.search.recipes DATA [--image 64] [--limit 0] [--epochs 80] [--batch 64]
        [--seeds 0] [--rows NAME ...] [--interpolation bilinear] [--precision fp32] [--json FILE]

DATA is what `hnas search --data` takes. One network, whose blocks are global and local in turn
(`--local-only`: all local), is trained from scratch on the training part (`--all-images`: on the
held-out part too) and tested on the test part, in the rows below; each keeps the ones before it,
but for the last ones. The table is the reason for what `hnas search --data` proposes
(docs/few-images.md).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import machine
from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.space import Frame
from hnas.architecture.stem import of_small_cnn
from hnas.cost.flops import block_cost, cost
from hnas.data import Data, prepare, test_images
from hnas.network.cnn import Cnn
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.studies.plan.recipe import TEACHER, kernels, residual
from hnas.training.distillation import Teacher
from hnas.training.loop import train
from hnas.training.losses import Losses, supervised


@dataclass(frozen=True, kw_only=True)
class Row:
    """A network and how it is trained."""

    frame: Frame
    training: TrainingRules
    augment: AugmentRules
    blocks: bool = True
    """Whether it has blocks, or they are all skipped."""
    taught: bool = False
    """Whether it learns from the CNN of the row `cnn` too."""
    given: bool = False
    """Whether its stem begins with that CNN's weights."""
    kinds: bool = False
    """Whether every second local block is a Conv1d's."""

    def arch(self, local_only: bool) -> Arch:
        net = self.frame
        if not self.blocks:
            return Arch((SKIPPED,) * net.M)
        K = kernels(net.side)[0] if net.local == "conv2d" else 17
        groups = [0 if local_only or i % 2 == 0 else net.N for i in range(net.M)]
        return Arch(tuple(net.block(G, net.d, 4, 1, K) for G in groups))


BLOCKS = 6
"""Of a row without residual blocks before the tokens."""
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {},
    "conv2d": {"frame": {"local": "conv2d"}},
    "mean": {"frame": {"pool": "mean"}},
    "stem": {"frame": {"stem": "conv"}},
    "crop": {"augment": {"crop": 0.5, "shift": 0}},
    "mixup": {"training": {"mixup": 0.4, "label_smoothing": 0.1}},
    "jitter": {"augment": {"jitter": 0.3}},
}
"""By the name of a row: what it changes of the row before it."""
ALONE: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "grey": ("mixup", {"augment": {"crop": 0.8, "rotate": 10.0, "flip": False}}),
    "randaugment": ("jitter", {"augment": {"randaugment": 7.0}}),
    "residual": ("jitter", {"frame": {"stem": "residual"}}),
    "cnn": ("jitter", {}),
    "grey-residual": ("grey", {"frame": {"stem": "residual"}}),
}
"""Rows that change one above them, which is named first; `cnn` is hnas's small CNN instead."""
LAST: dict[str, dict[str, bool]] = {
    "teacher": {"taught": True},
    "given": {"taught": True, "given": True},
    "stem-alone": {"blocks": False},
    "stem-given": {"blocks": False, "taught": True, "given": True},
}
"""What `residual` is in place of: one that learns from the CNN too, that also begins with its
convolutions, that has no blocks."""


KINDS = "kinds"
"""The row `jitter`, with Conv2d and Conv1d local blocks in turn."""


def rows(first: Row) -> dict[str, Row]:
    """All rows, each with what the ones before it have."""
    made, row = {}, first
    for name, changes in CHANGES.items():
        made[name] = row = _changed(row, changes)
    made["shifts"] = replace(made["mixup"], augment=first.augment)
    for name, (of, changes) in ALONE.items():
        made[name] = _changed(made[of], changes)
    made[KINDS] = replace(made["jitter"], kinds=True)
    return made | {name: replace(made["residual"], **how) for name, how in LAST.items()}


def _changed(row: Row, changes: dict[str, dict[str, Any]]) -> Row:
    made = replace(
        row, **{part: replace(getattr(row, part), **new) for part, new in changes.items()}
    )
    gets_stem = made.frame.stem == "residual" != row.frame.stem
    return replace(made, frame=residual(made.frame)) if gets_stem else made


def first_row(
    data: Data, *, image: int, patch: int, d: int, epochs: int, batch: int, **training: Any
) -> Row:
    """What `hnas search --data` proposed before: the paper's network, shifts and flips."""
    channels = data.train.tensor().shape[1]
    frame = Frame(
        image=image, channels=channels, patch=patch, classes=len(data.classes), d=d, M=BLOCKS, N=3
    )
    rules = TrainingRules(epochs=epochs, batch=batch, **training)
    augment = AugmentRules(shift=max(1, image // 14), flip=channels == 3)
    return Row(frame=frame, training=rules, augment=augment)


def network(row: Row, seed: int, *, local_only: bool, cnn: bool) -> tuple[nn.Module, int]:
    """The network of a row with random weights, and its MACs."""
    if cnn:
        sizes = {name: getattr(row.frame, name) for name in ("image", "channels", "classes")}
        net = Cnn(**sizes).reset(seed)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net.eval()(torch.zeros(1, sizes["channels"], sizes["image"], sizes["image"]))
        return net, counter.get_total_flops() // 2
    arch = row.arch(local_only)
    net, macs = Glit(row.frame, arch).reset(seed), cost(row.frame, arch).macs
    if row.kinds:
        other = replace(row, frame=replace(row.frame, local="conv1d"))
        its = other.arch(local_only)
        blocks = Glit(other.frame, its).reset(seed).blocks
        for i in [i for i, block in enumerate(arch.blocks) if not block.G][1::2]:
            net.blocks[i] = blocks[i]
            macs -= block_cost(row.frame, arch.blocks[i]).macs
            macs += block_cost(other.frame, its.blocks[i]).macs
    return net, macs


def learning_from(cnn: nn.Module | None, net: nn.Module, data: Data, row: Row) -> Losses:
    """The losses by labels and by the trained CNN, as a proposal weighs them; gives a network its
    convolutions, if the row says so."""
    if not isinstance(cnn, Cnn):
        raise SystemExit("a row that learns comes after the row cnn")
    if row.given:
        assert isinstance(net, Glit)
        cnn.give(net.patch_embed)
    return supervised(net, data, row.training, Teacher.of(cnn, data).distil(TEACHER))


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    for name, default in (
        ("image", 64),
        ("patch", 8),
        ("d", 48),
        ("limit", 0),
        ("epochs", 80),
        ("batch", 64),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--interpolation", default="bilinear")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    names = [*CHANGES, "shifts", *ALONE, KINDS, *LAST]
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    parser.add_argument("--local-only", action="store_true")
    parser.add_argument("--all-images", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in args.rows}
    test_losses: dict[str, list[float]] = {name: [] for name in args.rows}
    for seed in args.seeds:
        rules = DataRules(source=args.data, limit=args.limit, interpolation=args.interpolation)
        data, split = prepare(rules, image=args.image, channels=args.channels, seed=seed)
        test = test_images(rules, image=args.image, channels=args.channels, split=split)
        data = data.with_held_out() if args.all_images else data
        sizes = {name: getattr(args, name) for name in ("image", "patch", "d", "epochs", "batch")}
        made = rows(first_row(data, lr=args.lr, precision=args.precision, **sizes))
        if other := [n for n in args.rows if made[n].given and not of_small_cnn(made[n].frame)]:
            raise SystemExit(f"the stem is not the CNN's first layers: leave out {other}")
        cnn: nn.Module | None = None
        for name in args.rows:
            row, began = made[name], time.process_time()
            net, macs = network(row, seed, local_only=args.local_only, cnn=name == "cnn")
            losses = learning_from(cnn, net, data, row) if row.taught else None
            train(net, data, row.training, row.augment, seed=seed, losses=losses)
            cnn = net if name == "cnn" else cnn
            score = evaluate(net, test, data, batch=512)
            found[name].append(score.accuracy)
            test_losses[name].append(score.loss)
            print(
                f"{name:12} seed {seed}: {score.accuracy:.4f} of {len(test):,} test images, loss "
                f"{score.loss:.3f}, trained on {len(data.train):,}; {macs:,} MACs, "
                f"{time.process_time() - began:.0f} s of CPU",
                flush=True,
            )
    for name, accuracies in found.items():
        print(f"{name:12} {statistics.mean(accuracies):.3f}")
    if args.json:
        said = {k: v for k, v in vars(args).items() if k != "json"}
        said["data"] = Path(args.data).name
        report = {
            "machine": machine(torch.get_num_threads()),
            "asked": said,
            "first": asdict(made[args.rows[0]]),
        }
        report |= {"test_accuracy": found, "test_loss": test_losses}
        args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
