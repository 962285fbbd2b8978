"""Each fault: how it is made, in real processes, and what must have come of it.

A case is a function of the lab that yields a `Try` for every time it has tried the fault. Nothing
was lost where the run, once it went on, has the outcome of the one that nothing happened to.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import safetensors.torch

from hnas.architecture.space import Frame
from tests.faults.lab import Lab, Ran, environment
from tests.faults.outcome import lost, outcome
from tests.faults.points import EXPORT, IMPORT, PACK, SEARCH, STAGE_3, SYNC, WRITES, Point
from tests.faults.process import BALLAST, DISK, PATIENCE
from tests.support.forked import Process
from tests.support.moved_images import write_images
from tests.support.references import Reference

DISK_BYTES = 4 * 2**20


@dataclass(frozen=True, kw_only=True)
class Try:
    """One time that a fault was made."""

    where: str
    """The point, for whoever has to look for what went wrong."""
    lost: tuple[str, ...]
    """What was not as it has to be; empty where nothing was lost."""
    message: str
    """What the user was told; empty where there was nobody left to tell it."""


Case = Callable[[Lab], Iterator[Try]]
CASES: dict[str, Case] = {}
"""By what the fault is called in the table, in its order."""


class NotPossible(Exception):
    """This machine cannot make the fault; says why."""


def case(name: str) -> Callable[[Case], Case]:
    def named(make: Case) -> Case:
        CASES[name] = make
        return make

    return named


def judged(
    lab: Lab, run: Path, where: str, first: Ran, code: int, message: str, *again: str
) -> Try:
    """What came of a search that met a fault: it must have ended with `code` and told `message` (a
    regular expression), and the same command must end as if nothing had happened."""
    wrong = told(first, code, message)
    second = lab.hnas(*lab.search(run, *again))
    if second.code:
        wrong.append(f"it does not go on: {second.message}")
    else:
        wrong += lost(lab.expected_of(*again), outcome(run))
    return Try(where=where, lost=tuple(wrong), message=first.message)


def told(ran: Ran, code: int, message: str) -> list[str]:
    """Faults of how a process ended."""
    wrong = []
    if ran.code != code:
        wrong.append(f"exit code {ran.code}, not {code}: {ran.message[-300:]}")
    if not re.search(message, ran.message):
        wrong.append(f"no word of {message!r}: {ran.message[-300:]}")
    if "Traceback" in ran.err:
        wrong.append("a traceback")
    return wrong


# killed


def _killed(phase: str) -> Case:
    def tries(lab: Lab) -> Iterator[Try]:
        for i, point in enumerate(p for p in SEARCH if p.phase == phase):
            for fault in ("kill", "tear") if point.target == SYNC else ("kill",):
                run = lab.place / f"{phase} {i} {fault}" / "run"
                ran = lab.hnas(*lab.search(run), fault=fault, point=point)
                yield judged(lab, run, point.name, ran, -9, "")

    return tries


for _phase in dict.fromkeys(point.phase for point in SEARCH):
    CASES[f"SIGKILL: {_phase}"] = _killed(_phase)


@case("SIGKILL: stage 3")
def _killed_stage_3(lab: Lab) -> Iterator[Try]:
    more = "--refine"
    for i, point in enumerate(STAGE_3):
        for fault in ("kill", "tear") if point.target == SYNC else ("kill",):
            run = lab.place / f"stage 3 {i} {fault}" / "run"
            ran = lab.hnas(*lab.search(run, more), fault=fault, point=point)
            yield judged(lab, run, point.name, ran, -9, "", more)


@case("SIGKILL: 100 at random moments of searches of two and three stages")
def _storm(lab: Lab) -> Iterator[Try]:
    yield from storm(lab, 100, seed=0)


def storm(lab: Lab, kills: int, *, seed: int) -> Iterator[Try]:
    """Searches that are killed again and again, after a time that is drawn, until they are done or
    so many kills are spent: each ends as the one that nothing happened to."""
    rng, left = random.Random(seed), kills
    for number in itertools.count():
        if not left:
            return
        more = ("--refine",) if number % 2 else ()
        expected, most = lab.expected_of(*more), lab.seconds[more]
        run, after = lab.place / f"storm {seed} {number}" / "run", []
        while True:
            drawn = rng.uniform(0, most) if left else None
            ran = lab.hnas(*lab.search(run, *more), after=drawn)
            if ran.code != -9 or drawn is None:
                break
            left -= 1
            after.append(f"{drawn:.2f}")
        wrong = told(ran, 0, "") or lost(expected, outcome(run))
        where = f"after {', '.join(after) or 'nothing'} s, {' '.join(more) or 'two stages'}"
        yield Try(where=where, lost=tuple(wrong), message="")


@case("SIGKILL: export")
def _killed_export(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(EXPORT):
        yield _files(lab, lab.place / f"export {i}", _export(lab), point, "kill", -9, "")
    yield Try(where="the run", lost=tuple(lost(lab.expected, outcome(lab.unbroken))), message="")


@case("SIGKILL: import")
def _killed_import(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(IMPORT):
        yield _files(lab, lab.place / f"import {i}", _import(lab), point, "kill", -9, "")


@case("SIGKILL: packing images")
def _killed_pack(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(PACK):
        yield _files(lab, lab.place / f"pack {i}", _pack(lab), point, "kill", -9, "")


Command = Callable[[Path], tuple[object, ...]]
"""The arguments of a command that writes files into a folder."""


def _export(lab: Lab) -> Command:
    run = lab.unbroken
    return lambda folder: ("export", run, "--to", folder / "winner", "--device", "cpu")


def _import(lab: Lab) -> Command:
    weights = lab.place / "vit.safetensors"
    if not weights.exists():
        frame = Frame(
            image=8, channels=3, patch=4, classes=2, d=12, M=1, N=3, heads=1, activation="gelu"
        )
        vit = Reference(frame, frame.all_global(), release=False)
        safetensors.torch.save_file(vit.state_dict(), weights)
    return lambda folder: ("import", weights, "--to", folder / "net", "--heads", 1)


def _pack(lab: Lab) -> Command:
    photos = lab.place / "photos"
    if not photos.exists():
        write_images(photos)
    size = ("--image", 8, "--channels", 3, "--processes", 1)
    return lambda folder: ("data", "pack", photos, "--to", folder / "pack", *size)


def _written(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _files(
    lab: Lab,
    folder: Path,
    command: Command,
    point: Point,
    fault: str,
    code: int,
    message: str,
    **environment: str,
) -> Try:
    """What came of a command that writes files and met a fault: none is torn, and the same command
    writes all of them as if nothing had happened, and no other."""
    good = lab.place / f"good {command(Path())[0]}"
    if not good.exists():
        good.mkdir()
        ran = lab.hnas(*command(good))
        assert ran.code == 0, ran.err
    expected = _written(good)
    folder.mkdir(exist_ok=True)
    first = lab.hnas(*command(folder), fault=fault, point=point, **environment)
    wrong = told(first, code, message)
    (folder / BALLAST).unlink(missing_ok=True)
    second = lab.hnas(*command(folder))
    if second.code:
        wrong.append(f"it does not go on: {second.message}")
    found = _written(folder)
    names = {*found, *expected}
    wrong += [f"{name} is another" for name in names if found.get(name) != expected.get(name)]
    return Try(where=point.name, lost=tuple(wrong), message=first.message)


# interrupted


def _interrupted(fault: str, offset: int) -> Case:
    def tries(lab: Lab) -> Iterator[Try]:
        # Not the first: before a run has begun there is nothing to go on with.
        for i, point in enumerate(SEARCH[2 + offset :: 5]):
            run = lab.place / f"{fault} {i}" / "run"
            ran = lab.hnas(*lab.search(run), fault=fault, point=point)
            kept = f"Interrupted. Finished work is kept in {run}. Resume with: hnas search"
            yield judged(lab, run, point.name, ran, 130, re.escape(kept))

    return tries


CASES["Ctrl-C (SIGINT)"] = _interrupted("interrupt", 0)
CASES["SIGTERM"] = _interrupted("terminate", 2)


# disks


@contextmanager
def _disk(lab: Lab, name: str) -> Iterator[Path]:
    """A small file system of its own."""
    place = lab.place / name
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        raise NotPossible("no file system may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@case("disk full, at each kind of write")
def _full(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(WRITES):
        with _disk(lab, f"full {i}") as disk:
            run = disk / "run"
            ran = lab.hnas(*lab.search(run), fault="fill", point=point, **{DISK: str(disk)})
            (disk / BALLAST).unlink()
            yield judged(lab, run, point.name, ran, 2, "No space left|disk is full|disk I/O error")
    for name in ("winner.safetensors", "winner.json"):
        with _disk(lab, f"full {name}") as disk:
            at = Point(
                phase="export", target="hnas.persist.atomic:replacing", match=name, when="before"
            )
            full, told_so = {DISK: str(disk)}, "No space left on device"
            yield _files(lab, disk, _export(lab), at, "fill", 2, told_so, **full)


@case("read-only folder")
def _read_only(lab: Lab) -> Iterator[Try]:
    with _disk(lab, "read-only") as disk:
        remount = ["mount", "-o", "remount,{}", str(disk)]

        def become(mode: str) -> None:
            subprocess.run([part.format(mode) for part in remount], check=True)

        run = disk / "run"
        become("ro")
        ran = lab.hnas(*lab.search(run))
        become("rw")
        first = judged(lab, run, "a new run", ran, 2, "cannot be written: Read-only file system")
        yield first
        (run / "result.json").unlink()
        become("ro")
        ran = lab.hnas(*lab.search(run))
        status = lab.hnas("status", "--run", run)
        become("rw")
        yield judged(
            lab, run, "a run that had begun", ran, 2, "cannot be .*: Read-only file system"
        )
        wrong = told(status, 0, "") + ([] if "hand-off" in status.out else [status.out])
        yield Try(where="status of it", lost=tuple(wrong), message=status.message)


# databases


@case("SQLite locked by another program")
def _locked(lab: Lab) -> Iterator[Try]:
    point = next(p for p in WRITES if p.phase == "a trial")
    run = lab.place / "locked" / "run"
    lab.hnas(*lab.search(run), fault="kill", point=point)
    with closing(sqlite3.connect(run / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ran = lab.hnas(*lab.search(run), **{PATIENCE: "2"})
        other.execute("ROLLBACK")
    yield judged(lab, run, "for good", ran, 2, "database is locked")
    run = lab.place / "locked a while" / "run"
    lab.hnas(*lab.search(run), fault="kill", point=point)
    with closing(sqlite3.connect(run / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        process = lab.start(*lab.search(run))
        time.sleep(10)
        other.execute("ROLLBACK")
    out, err = process.communicate()
    ran = Ran(code=process.returncode, out=out, err=err)
    yield judged(lab, run, "for ten seconds", ran, 0, "")


@case("SQLite file corrupt")
def _corrupt(lab: Lab) -> Iterator[Try]:
    for where in (0, 1, 2):
        run = lab.copy(f"corrupt {where}")
        (run / "result.json").unlink()
        file = run / "study.db"
        whole = file.read_bytes()
        damaged = bytearray(whole)
        start = (0, len(whole) // 3, len(whole) * 2 // 3)[where]
        damaged[start : start + 8192] = os.urandom(8192)
        file.write_bytes(damaged)
        ran = lab.hnas(*lab.search(run))
        file.write_bytes(whole)
        yield judged(lab, run, f"third {where + 1}", ran, 2, "study.db|study 'run-stage")


# weights


@case("checkpoint torn or tampered with")
def _damaged(lab: Lab) -> Iterator[Try]:
    for i, damage in enumerate(("torn", "one bit", "deleted", "index")):
        run = lab.copy(f"damaged {i}")
        (run / "result.json").unlink()
        index = json.loads((run / "checkpoints/supernet1.json").read_text())
        file = run / "checkpoints" / index["versions"][0]["file"]
        data = file.read_bytes()
        if damage == "torn":
            file.write_bytes(data[:1000])
        elif damage == "one bit":
            file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        elif damage == "deleted":
            file.unlink()
        else:
            index["versions"][0]["meta"]["epoch"] = 1
            (run / "checkpoints/supernet1.json").write_text(json.dumps(index))
        ran = lab.hnas(*lab.search(run))
        passed = Ran(code=ran.code, out=ran.out, err=f"{ran.err}{_noted(ran.out)}")
        name = re.escape(file.name)
        yield judged(lab, run, damage, passed, 0, f"passed over a damaged checkpoint: {name}")


def _noted(out: str) -> str:
    return "".join(line for line in out.splitlines() if "passed over" in line)


@case("CUDA out of memory (raised where CUDA would)")
def _memory(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(_at("supernet training", "retraining")):
        run = lab.place / f"memory {i}" / "run"
        ran = lab.hnas(*lab.search(run), fault="out of memory", point=point)
        yield judged(lab, run, point.name, ran, 2, "the memory of the device is not enough")
    point = Point(phase="scoring", target="hnas.scoring.score:Tree.logits", nth=3)
    run = lab.place / "memory scoring" / "run"
    ran = lab.hnas(*lab.search(run), fault="out of memory", point=point)
    yield judged(lab, run, point.name, ran, 0, "")


@case("NaN in a gradient")
def _nan(lab: Lab) -> Iterator[Try]:
    yield from _diverged(lab, "nan")


@case("loss explodes")
def _exploded(lab: Lab) -> Iterator[Try]:
    yield from _diverged(lab, "explode")


def _diverged(lab: Lab, fault: str) -> Iterator[Try]:
    steps = [p for p in SEARCH if p.target.endswith("AdamW.step") and p.when == "before"]
    for i, point in enumerate(steps[1:]):
        run = lab.place / f"{fault} {i}" / "run"
        ran = lab.hnas(*lab.search(run), fault=fault, point=point)
        yield judged(lab, run, point.name, ran, 2, "training diverged: ")


@case("NaN in a network's logits")
def _nan_score(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(p for p in _at("scoring") if p.when == "before"):
        run = lab.place / f"logits {i}" / "run"
        ran = lab.hnas(*lab.search(run), fault="nan logits", point=point)
        yield judged(lab, run, point.name, ran, 2, "accuracy=nan")


def _at(*phases: str) -> list[Point]:
    return [next(p for p in SEARCH if p.phase == phase) for phase in phases]


@case("clock going backwards")
def _backwards(lab: Lab) -> Iterator[Try]:
    for i, point in enumerate(_at("beginning", "scoring", "storage transaction")):
        run = lab.place / f"clock {i}" / "run"
        ran = lab.hnas(*lab.search(run), fault="turn back", point=point)
        with closing(sqlite3.connect(run / "study.db")) as database:
            [(wrong,)] = database.execute(
                "SELECT count(*) FROM trials WHERE datetime_complete < datetime_start"
            )
        found = judged(lab, run, point.name, ran, 0, "")
        yield Try(
            where=found.where,
            lost=(*found.lost, *([f"{wrong} trials end before they begin"] if wrong else [])),
            message=found.message,
        )


# several at once


@case("a second search of the same run")
def _twice(lab: Lab) -> Iterator[Try]:
    run = lab.place / "twice" / "run"
    more = ("--set", "stage1.trials=60")
    first = lab.start(*lab.search(run, *more))
    assert first.stdout is not None
    while "stage 1: trial" not in first.stdout.readline():
        pass
    second = lab.hnas(*lab.search(run, *more))
    wrong = told(second, 2, rf"held by another process \(pid {first.pid}\)")
    status = lab.hnas("status", "--run", run)
    wrong += told(status, 0, "")
    first.kill()
    first.communicate()
    after = lab.hnas(*lab.search(run, *more, "--stage", 1))
    wrong += told(after, 0, "")  # a dead holder does not keep it
    yield Try(where="while stage 1 is searched", lost=tuple(wrong), message=second.message)


@case("readers at work: status, dashboard")
def _readers(lab: Lab) -> Iterator[Try]:
    run = lab.place / "readers" / "run"
    lab.hnas(*lab.search(run), fault="kill", point=_at("hand-off")[0])
    wrong = []
    command = ("-m", "tests.faults.process", "dashboard", "--run", run, "--port", 0)
    with Process(command, env=environment()) as dashboard:
        assert dashboard.stdout is not None
        address = dashboard.stdout.readline().split("/dashboard")[0]
        search = lab.start(*lab.search(run))
        reads = 0
        while search.poll() is None:
            for number in (1, 2):
                with suppress(HTTPError), urlopen(f"{address}/api/studies/{number}") as answer:
                    answer.read()
                    reads += 1
            wrong += told(lab.hnas("status", "--run", run), 0, "")
        out, err = search.communicate()
        dashboard.kill()
    found = judged(lab, run, f"{reads} reads", Ran(code=search.returncode, out=out, err=err), 0, "")
    yield Try(where=found.where, lost=(*found.lost, *wrong), message=found.message)
