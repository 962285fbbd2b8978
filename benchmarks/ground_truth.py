"""A small space in which every network is trained alone: what a ranking is held against.

    python -m benchmarks.ground_truth --seeds 0,1 [--from-end] [--to FILE]

The space: stage 1 of the digits preset with M = 4 blocks, 4^4 = 256 distributions. The images: the
preset's 1,797 digits, its test part (never read here) left out; of the others 40% are trained on,
a third of the rest are what a search may score on and two thirds are kept for this table, so that
no network is picked on the images that say how good the pick was.

A network a line, appended when it is done: a run that was killed goes on where it stopped, and
two processes may share the work, one of them from the end. The first line tells the settings
and the provenance; a file of other settings is refused.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import machine
from hnas.arch import Arch
from hnas.data import Data, Images, prepare
from hnas.glit import Glit
from hnas.recorded import recorded
from hnas.rules import AugmentRules, DataRules, TrainingRules
from hnas.score import evaluate
from hnas.space import Frame, Space, distribution_space
from hnas.training.loop import train
from studies.plan import load_preset

TABLE = Path(__file__).parent / "results" / "ground_truth_digits.csv"
PRESET = load_preset("digits")
FRAME: Frame = replace(PRESET.net, M=4)
SPACE: Space = distribution_space(
    FRAME, d_k=PRESET.stage1.d_k, d_z=PRESET.stage1.d_z, E=PRESET.stage1.E, K=PRESET.stage1.K
)
DATA: DataRules = replace(PRESET.data, held_out=0.6)
TRAINING: TrainingRules = replace(PRESET.retrain.training, epochs=10, batch=24)
"""The preset's retraining in 230 smaller steps, a fifteenth of its images: what 512 trainings and
more can have. Not shifted, as so few steps do not make up for it."""
AUGMENT = AugmentRules()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network trained alone."""

    seed: int
    G: tuple[int, ...]
    """Global groups of each block, first to last: the distribution."""
    score_accuracy: float
    """On the images that a search may score on, 0 to 1."""
    score_loss: float
    """On the same, in nats."""
    accuracy: float
    """On the images kept for this table, 0 to 1."""
    loss: float
    """On the same, in nats."""
    seconds: float
    """Wall time of its training."""


COLUMNS = tuple(Row.__dataclass_fields__)


def arch_of(G: Sequence[int]) -> Arch:
    """The distribution's architecture, by the global groups of its blocks."""
    by_G = [{block.G: block for block in choices} for choices in SPACE.choices]
    return Arch(tuple(choices[g] for choices, g in zip(by_G, G, strict=True)))


def distribution(arch: Arch) -> tuple[int, ...]:
    """The inverse of `arch_of`."""
    return tuple(block.G for block in arch.blocks)


def distributions() -> list[tuple[int, ...]]:
    """All 256, in order."""
    return list(itertools.product(range(FRAME.N + 1), repeat=FRAME.M))


@cache
def images() -> tuple[Data, Images]:
    """What a search may see, its held-out part being the score images; and the table's images."""
    data, _ = prepare(DATA, image=FRAME.image, channels=FRAME.channels, seed=PRESET.search.seed)
    index = torch.arange(len(data.held_out))
    scored, kept = index[index % 3 == 0], index[index % 3 != 0]
    return replace(data, held_out=data.held_out.take(scored)), data.held_out.take(kept)


def settings() -> dict[str, Any]:
    """What every number of the table depends on, but for the machine."""
    data, kept = images()
    return {
        "frame": recorded(FRAME),
        "sizes": {name: getattr(PRESET.stage1, name) for name in ("d_k", "d_z", "E", "K")},
        "training": recorded(TRAINING),
        "augment": recorded(AUGMENT),
        "images": {
            "train": [len(data.train), data.train.fingerprint],
            "score": [len(data.held_out), data.held_out.fingerprint],
            "table": [len(kept), kept.fingerprint],
        },
    }


def train_alone(G: tuple[int, ...], seed: int) -> Row:
    """One network of the table. Its weights, order and scores are a function of both arguments."""
    data, kept = images()
    weights, order = np.random.SeedSequence((seed, *G)).generate_state(2).tolist()
    net = Glit(FRAME, arch_of(G)).reset(weights)
    began = time.perf_counter()
    train(net, data, TRAINING, AUGMENT, seed=order)
    seconds = time.perf_counter() - began
    scored = evaluate(net, data.held_out, data, batch=1024)
    found = evaluate(net, kept, data, batch=1024)
    return Row(
        seed=seed,
        G=G,
        score_accuracy=scored.accuracy,
        score_loss=scored.loss,
        accuracy=found.accuracy,
        loss=found.loss,
        seconds=seconds,
    )


def read(path: Path = TABLE) -> tuple[dict[str, Any], list[Row]]:
    """The first line's record and the networks, ordered by seed and distribution."""
    head, _, body = path.read_text().partition("\n")
    rows = [
        Row(
            seed=int(line["seed"]),
            G=tuple(map(int, line["G"])),
            **{name: float(line[name]) for name in COLUMNS[2:]},
        )
        for line in csv.DictReader(io.StringIO(body))
    ]
    # Two processes that meet may both have trained one network, to the same numbers.
    once = {(row.seed, row.G): row for row in rows}
    return json.loads(head.removeprefix("# ")), [once[pair] for pair in sorted(once)]


def complete(rows: Sequence[Row]) -> list[int]:
    """The seeds that every distribution has been trained from."""
    counts = Counter(row.seed for row in rows)
    return sorted(seed for seed, count in counts.items() if count == len(distributions()))


def append(path: Path, row: Row) -> None:
    """One whole line in one write, so that processes may share the file; on the disk on return."""
    cells = ["".join(map(str, row.G)) if name == "G" else getattr(row, name) for name in COLUMNS]
    text = ",".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells)
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, f"{text}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


def begin(path: Path, seeds: str) -> None:
    """Makes the table where there is none; raises SystemExit where it has other settings."""
    asked = json.loads(json.dumps(settings()))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout.strip()
    about = {
        "settings": asked,
        "command": f"python -m benchmarks.ground_truth --seeds {seeds}",
        "commit": commit,
        **machine(torch.get_num_threads()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    whole.write_text(f"# {json.dumps(about)}\n{','.join(COLUMNS)}\n")
    try:
        os.link(whole, path)  # there whole or not at all, and never over another
    except FileExistsError:
        found, _ = read(path)
        if found["settings"] != asked:
            raise SystemExit(
                f"{path} has other settings:\n{found['settings']}\nasked:\n{asked}\n"
                "Give another file with --to"
            ) from None
    finally:
        whole.unlink()


def missing(path: Path, seeds: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """(seed, distribution) of every network that is not in the table yet.

    In random order, all seeds of a distribution before the next: where the time is not enough,
    what is complete is a fair sample of the space.
    """
    _, rows = read(path)
    done = {(row.seed, row.G) for row in rows}
    everything = distributions()
    order = np.random.default_rng(0).permutation(len(everything)).tolist()
    pairs = [(seed, everything[i]) for i in order for seed in seeds]
    return [pair for pair in pairs if pair not in done]


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1", help="comma-separated [0,1]")
    parser.add_argument("--to", type=Path, default=TABLE, help="the table")
    parser.add_argument("--from-end", action="store_true", help="the last that is missing first")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin(options.to, options.seeds)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    while left := missing(options.to, seeds):
        seed, G = left[-1 if options.from_end else 0]
        row = train_alone(G, seed)
        append(options.to, row)
        print(
            f"seed {seed}  G {''.join(map(str, G))}  accuracy {row.accuracy:.4f}  "
            f"loss {row.loss:.4f}  {row.seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
