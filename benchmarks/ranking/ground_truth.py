"""Small spaces in which every network is trained alone: what a ranking is held against.

    python -m benchmarks.ranking.ground_truth [--of digits] --seeds 0,1 [--from-end] [--to FILE]

What is trained, and on which images, is `benchmarks.ranking.small_spaces`. A network a line,
appended when it is done: a run that was killed goes on where it stopped, and two processes may
share the work, one of them from the end. The first line tells the settings and the provenance; a
file of other settings is refused.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import machine
from benchmarks.ranking.small_spaces import DIGITS, GROUNDS, Ground
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.training.loop import train


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


def table(ground: Ground) -> Path:
    """Where its networks lie."""
    return ground.result("ground_truth", "csv")


def train_alone(ground: Ground, G: tuple[int, ...], seed: int) -> Row:
    """One network of the table. Its weights, order and scores are a function of the arguments."""
    data, kept = ground.images
    weights, order = np.random.SeedSequence((seed, *G)).generate_state(2).tolist()
    net = Glit(ground.frame, ground.arch_of(G)).reset(weights)
    began = time.perf_counter()
    train(net, data, ground.training, ground.augment, seed=order)
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


def read(path: Path) -> tuple[dict[str, Any], list[Row]]:
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


def complete(ground: Ground, rows: Sequence[Row]) -> list[int]:
    """The seeds that every distribution has been trained from."""
    counts = Counter(row.seed for row in rows)
    return sorted(seed for seed, count in counts.items() if count == len(ground.distributions))


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


def begin(ground: Ground, path: Path, seeds: str) -> None:
    """Makes the table where there is none; raises SystemExit where it has other settings."""
    asked = json.loads(json.dumps(ground.settings()))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout.strip()
    about = {
        "settings": asked,
        "command": f"python -m benchmarks.ranking.ground_truth --of {ground.name} --seeds {seeds}",
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


def missing(ground: Ground, path: Path, seeds: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """(seed, distribution) of every network that is not in the table yet.

    In random order, all seeds of a distribution before the next: where the time is not enough,
    what is complete is a fair sample of the space.
    """
    _, rows = read(path)
    done = {(row.seed, row.G) for row in rows}
    everything = ground.distributions
    order = np.random.default_rng(0).permutation(len(everything)).tolist()
    pairs = [(seed, everything[i]) for i in order for seed in seeds]
    return [pair for pair in pairs if pair not in done]


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=GROUNDS, default=DIGITS.name, help="[digits]")
    parser.add_argument("--seeds", default="0,1", help="comma-separated [0,1]")
    parser.add_argument("--to", type=Path, help="the table")
    parser.add_argument("--from-end", action="store_true", help="the last that is missing first")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ground = GROUNDS[options.of]
    path = options.to or table(ground)
    begin(ground, path, options.seeds)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    while left := missing(ground, path, seeds):
        seed, G = left[-1 if options.from_end else 0]
        row = train_alone(ground, G, seed)
        append(path, row)
        print(
            f"seed {seed}  G {''.join(map(str, G))}  accuracy {row.accuracy:.4f}  "
            f"loss {row.loss:.4f}  {row.seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
