"""Do what a newcomer would, from an empty environment to a network that runs without hnas, and
write it down with the seconds of each step: `python -m tests.support.newcomer [FOLDER]` writes
docs/digits.md.

The steps run in a copy of this checkout, FOLDER if one is named, which stays there. The search
takes minutes.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.installed import checkout

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/digits.md"
HEAD = """\
# A first network, in {minutes} minutes of CPU

From a fresh checkout to a network that needs no hnas, on the handwritten digits that come with
scikit-learn: nothing is downloaded but packages. A program has written this page, and timed each
step as it ran it: `python -m tests.support.newcomer`.

"""
TAIL = """\

Next: [example.ipynb](example.ipynb), the same from Python; [data.md](data.md), what images of yours
may look like; [tutorial.md](tutorial.md), a plan that is changed by hand; [using.md](using.md), all
that can be asked for.
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is typed, why, and how much of what it prints is shown."""

    title: str
    why: str
    typed: str
    shown: int
    """Lines, the last ones."""


STEPS = (
    Step(
        title="Install",
        why="In the folder of the checkout. The environment keeps it apart from everything else.",
        typed="python3 -m venv .venv\n. .venv/bin/activate\npip install --quiet .",
        shown=0,
    ),
    Step(
        title="Ask whether this machine will do",
        why="A tiny search from end to end, and what would be faster or is missing.",
        typed="hnas doctor",
        shown=40,
    ),
    Step(
        title="Search",
        why="It trains a supernet, scores 200 distributions of global and local heads with its "
        "weights, then 200 choices of sizes, trains the best few networks by themselves, and tests "
        "the best of them once, beside an all-global network of its cost and simple models. Ctrl-C "
        "loses nothing: the same command resumes. Without a preset or images hnas takes the "
        "digits.",
        typed="hnas search",
        shown=24,
    ),
    Step(
        title="Look at it",
        why="One HTML file has the answer, the network, its mistakes, the fronts and the time of "
        "each step. `hnas dashboard runs/digits` shows both studies in a browser.",
        typed="hnas report runs/digits",
        shown=4,
    ),
    Step(
        title="Take the network away",
        why="Weights, a description, and all the code that they need ([export.md](export.md)).",
        typed="hnas export runs/digits --to digits_net",
        shown=6,
    ),
    Step(
        title="Use it, without hnas",
        why="Some digits as image files; the network's own file classifies one of them.",
        typed="python - <<'END'\n"
        "from PIL import Image\n"
        "from sklearn.datasets import load_digits\n"
        "\n"
        "digits = load_digits()\n"
        "for i in range(5, 10):\n"
        "    pixels = (digits.images[i] * 255 / 16).round().astype('uint8')\n"
        "    Image.fromarray(pixels).save(f'{digits.target[i]}.png')\n"
        "END\n"
        "python digits_net.py 7.png",
        shown=8,
    ),
    Step(
        title="Or with it",
        why="Many files at once, or a folder with one folder a class, which gives the accuracy.",
        typed="hnas predict digits_net 5.png 6.png 7.png 8.png 9.png --top 1",
        shown=8,
    ),
)


@dataclass(frozen=True)
class Done:
    """A step that has run: what it printed, and its seconds."""

    step: Step
    printed: str
    wall: float
    cpu: float


def done(steps: tuple[Step, ...], folder: Path) -> Iterator[Done]:
    """Each step, run by a shell in `folder` as if it were typed there, in the environment that the
    first has made."""
    paths = f"{folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": paths, "OMP_NUM_THREADS": "1", "COLUMNS": "110"}
    environment.pop("PYTHONPATH", None)
    for step in steps:
        began, before = time.perf_counter(), _cpu()
        ran = subprocess.run(
            ["bash", "-e", "-c", step.typed], cwd=folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if ran.returncode:
            sys.exit(f"{step.typed}\n{ran.stdout}")
        printed = ran.stdout.replace(str(folder), "~/hnas")
        yield Done(step, printed, time.perf_counter() - began, _cpu() - before)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def page(steps: list[Done], date: str) -> str:
    """The steps as Markdown."""
    wall, cpu = sum(one.wall for one in steps), sum(one.cpu for one in steps)
    lines = [HEAD.format(minutes=max(1, round(cpu / 60)))]
    lines += ["| step | seconds | of CPU |\n|---|---|---|\n"]
    lines += [f"| {one.step.title} | {one.wall:,.0f} | {one.cpu:,.0f} |\n" for one in steps]
    lines.append(f"| all | {wall:,.0f} | {cpu:,.0f} |\n\n")
    lines.append(
        f"On {date}, by one thread of a machine with {os.cpu_count()} cores. If seconds exceed "
        "those of CPU, it was doing other work too. pip's time is included.\n"
    )
    for one in steps:
        lines.append(f"\n## {one.step.title}\n\n{one.step.why}\n\n```\n{one.step.typed}\n```\n")
        if one.step.shown and (printed := _last(one)):
            lines.append(f"\n```text\n{printed}\n```\n")
    return "".join([*lines, TAIL])


def _last(one: Done) -> str:
    """The last lines of what a step printed, as a screen shows them."""
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", one.printed)
    lines = [line.rpartition("\r")[2].rstrip() for line in plain.strip().splitlines()]
    return "\n".join(lines[-one.step.shown :]).strip("\n")


def main(folder: str = "") -> None:
    with TemporaryDirectory() as temporary:
        ran = []
        for one in done(STEPS, checkout(ROOT, Path(folder or f"{temporary}/hnas").absolute())):
            print(f"{one.wall:6.0f} s  {one.step.title}", flush=True)
            ran.append(one)
    PAGE.write_text(page(ran, time.strftime("%Y-%m-%d")), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
