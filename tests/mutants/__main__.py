"""Makes the mutants and runs their tests: see `tests.mutants`.

python -m tests.mutants                       all files of the core
python -m tests.mutants layout retrain        files whose paths contain one of these
python -m tests.mutants --by-hand             only the faults of by_hand.py
python -m tests.mutants --each 20 --list      which there would be
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
from tests.mutants.by_hand import BY_HAND, ByHand, by_hand_mutant
from tests.mutants.core import CORE, nodes_of
from tests.mutants.lines import Only, Seen, Watch, nearest
from tests.mutants.mutate import Mutant, mutants
from tests.support.forked import IMPORTED

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.md")
EACH = 4
"""Mutants of a file."""
PATIENCE, GRACE = 3, 30.0
"""A mutant is noticed if a test takes so many times as long as without it, and so many seconds."""
PASSED, NONE, LATE = 0, 5, "late"
LONGEST = 3600.0
"""Seconds for all tests of a mutant."""
SAID, SEEN = "pytest.log", "lines.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("words", nargs="*", help="parts of the files' paths; none: every file")
    parser.add_argument("--each", type=int, default=EACH, help="mutants of a file")
    parser.add_argument("--by-hand", action="store_true", help="only those that people made")
    parser.add_argument("--list", action="store_true", help="print them and test nothing")
    options = parser.parse_args()

    def is_asked(file: str) -> bool:
        return not options.words or any(word in file for word in options.words)

    files = [] if options.by_hand else list(filter(is_asked, CORE))
    every = {f: mutants(f, (ROOT / f).read_text("utf-8"), options.each) for f in files}
    by_hand = [one for one in BY_HAND if is_asked(one.file)]
    if options.list:
        made = [by_hand_mutant(one, ROOT) for one in by_hand]
        for mutant in (each for some in (*every.values(), made) for each in some):
            print(_row(mutant))
        return
    explained, survived = set(_explained()), []
    known = {m.key for f in files for m in mutants(f, (ROOT / f).read_text("utf-8"), 10**6)}
    for file, line, _ in sorted(explained - known):
        if file in files:
            print(f"{SURVIVORS.name} has a row of a line that is gone: {file}: {line}")
    counts = {"noticed": 0, "equivalent": 0}
    with tempfile.TemporaryDirectory(prefix="hnas-mutants-") as folder:
        copy = _copied(Path(folder))
        _prepare(copy)
        for mutant in _all_survivors(copy, every, by_hand, counts):
            if mutant.key in explained:
                counts["equivalent"] += 1
            else:
                survived.append(mutant)
                print(f"SURVIVED {_row(mutant)}", flush=True)
    tried = counts["noticed"] + len(survived)
    share = counts["noticed"] / tried if tried else 1.0
    print(
        f"{tried + counts['equivalent']} mutants, {len(by_hand)} of them by hand: "
        f"{counts['equivalent']} are equivalent, of the others {counts['noticed']} of {tried} were "
        f"noticed ({share:.0%})"
    )
    sys.exit(share < 0.95)


def _row(mutant: Mutant) -> str:
    return f"| {mutant.file}:{mutant.line} | `{mutant.before}` | `{mutant.after}` |"


def _explained() -> Iterator[tuple[str, str, str]]:
    """The mutants that survive for a stated reason."""
    for line in SURVIVORS.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if len(cells) == 4 and cells[1].startswith("`"):
            file, before, after, _ = cells
            yield file.removeprefix("| ").partition(":")[0], before.strip("`"), after.strip("`")


def _copied(folder: Path) -> Path:
    """A copy of what git knows of the checkout, so that the checkout stays as it is."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    there = b"\0".join(name for name in names if name and os.path.lexists(ROOT / os.fsdecode(name)))
    subprocess.run(["tar", "-cf", folder / "tar", "--null", "-T", "-"], cwd=ROOT, input=there,
                   check=True)  # fmt: skip
    (copy := folder / "hnas").mkdir()
    subprocess.run(["tar", "-xf", folder / "tar", "-C", copy], check=True)
    return copy


def _prepare(copy: Path) -> None:
    """Imports what all tests do, but nothing of hnas: each process of tests is forked off this."""
    for name in ("pytest", *(name for name in IMPORTED if not name.startswith("hnas."))):
        importlib.import_module(name)
    known = [name for name in sys.modules if name.split(".")[0] in ("hnas", "tests", "benchmarks")]
    for name in known:
        if name != "__main__":
            del sys.modules[name]
    sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(copy)
    os.chdir(copy)


def _all_survivors(
    copy: Path,
    every: Mapping[str, Sequence[Mutant]],
    by_hand: Sequence[ByHand],
    counts: dict[str, int],
) -> Iterator[Mutant]:
    """The mutants that no test notices; the others are counted."""
    for file, some in every.items():
        tests = nodes_of(file)
        seen = _seen(copy, file, tests)
        for mutant in some:
            with _in_place(copy, mutant):
                yield from _judged(mutant, _noticed(tests, seen, mutant), counts)
    tests = [f"tests/{fault.test}" for fault in by_hand]
    if tests:
        _must_pass(copy, tests, object())
    for fault, test in zip(by_hand, tests, strict=True):
        mutant = by_hand_mutant(fault, copy)
        with _in_place(copy, mutant):
            code = _tested([test], LONGEST / 6, object())
            yield from _judged(mutant, code, counts)


@contextmanager
def _in_place(copy: Path, mutant: Mutant) -> Iterator[None]:
    path = copy / mutant.file
    original, times = path.read_bytes(), path.stat()
    path.write_text(mutant.source, "utf-8")
    yield
    path.write_bytes(original)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _judged(mutant: Mutant, code: int | str, counts: dict[str, int]) -> Iterator[Mutant]:
    is_noticed = code not in (PASSED, NONE)
    counts["noticed"] += is_noticed
    said = "noticed " if is_noticed else "survived"
    print(f"{said} {_row(mutant)}", file=sys.stderr, flush=True)
    if not is_noticed:
        yield mutant


def _seen(copy: Path, file: str, tests: Sequence[str]) -> Seen:
    """What the tests run of a file without a mutant."""
    told = copy.parent / SEEN
    _must_pass(copy, tests, Watch((copy / file).resolve(), told))
    seen: Seen = json.loads(told.read_text("utf-8"))
    return seen


def _must_pass(copy: Path, tests: Sequence[str], plugin: object) -> None:
    """Ends the program if the tests fail without a mutant: they would fail with any."""
    if (code := _tested(tests, LONGEST, plugin)) != PASSED:
        said = (copy.parent / SAID).read_text("utf-8", "replace")[-2000:]
        sys.exit(f"{said}\ntests fail without a mutant ({code}): {' '.join(tests)}")


def _noticed(tests: Sequence[str], seen: Seen, mutant: Mutant) -> int | str:
    """How the tests end: those that run the mutant's lines first, then the others."""
    for names in nearest(seen, mutant.line, mutant.last):
        limit = GRACE + PATIENCE * max((seen[name][0] for name in names), default=0.0)
        if names and (code := _tested(tests, limit, Only(names))) not in (PASSED, NONE):
            return code
    return PASSED


def _tested(tests: Sequence[str], limit: float, plugin: object) -> int | str:
    """How pytest ends in a process of its own, at the first test that fails, or takes longer than
    `limit` seconds."""
    process = os.fork()
    if process == 0:
        try:
            _test(tests, limit, plugin)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)  # never back into what the parent does
    until = time.monotonic() + LONGEST
    try:
        while time.monotonic() < until:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        return LATE
    finally:
        for each in (signal.SIGTERM, signal.SIGKILL):  # and what it started
            try:
                os.killpg(process, each)
            except ProcessLookupError:
                break
            time.sleep(0.1)


def _test(tests: Sequence[str], limit: float, plugin: object) -> None:
    """Runs pytest in this process, and ends it."""
    os.setsid()
    sys.dont_write_bytecode = True  # a mutant and its original may be of one second
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    said = os.open(Path("..", SAID), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    import pytest

    asked = ["-x", "-q", "-p", "no:cacheprovider", f"--timeout={limit}", *tests]
    code = pytest.main(asked, plugins=[plugin])
    os._exit(int(code))


if __name__ == "__main__":
    main()
