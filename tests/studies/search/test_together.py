"""Networks that are trained at the same time, in processes of their own."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hnas.data import prepare
from hnas.errors import CheckpointError, InputError, StateError
from hnas.settings import OWN_TEACHER, DistillationRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import Retrain
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.history import read_history
from hnas.studies.run.networks import stored_network
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search import processes, together
from hnas.studies.search.apart import ENDED, NOTE, ON_EPOCH, Job, Setting, _begun, give
from hnas.studies.search.events import Listener
from hnas.studies.search.network import untrained
from hnas.studies.search.processes import Crew, at_once, crew
from hnas.studies.search.retrain import Asked, retrain_networks
from hnas.studies.search.session import Session
from hnas.training.loop import Epoch
from tests.support import fake_runs, forked
from tests.support.broken_off import CPU


def forked_process(arguments: list[str], **more: Any) -> forked.Process:
    """Stands for `subprocess.Popen`, whose process would import torch first."""
    assert arguments[:3] == [sys.executable, "-P", "-m"]
    started.append(forked.Process(arguments[2:], **more))
    return started[-1]


started: list[forked.Process] = []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a process of a crew of two on two cores
    started.clear()
    monkeypatch.setattr(together, "Popen", forked_process)
    yield
    torch.set_num_threads(threads)


def asked(plan: Plan) -> list[Asked]:
    """Three networks, one twice from other seeds."""
    space = plan.space1()
    drawn = space.sample(np.random.default_rng(1))
    archs = (space.frame.all_global(), drawn, space.frame.all_global())
    return [
        Asked(arch=arch, what=f"trial {i}", stage=1, repeat=int(i == 2))
        for i, arch in enumerate(archs)
    ]


def trained(
    folder: Path, plan: Plan, rules: Retrain, listener: Listener | None = None
) -> tuple[Run, list[Any], list[str]]:
    run = begin_run(folder, replace(plan, retrain=rules))
    with run.hold(), contextlib.closing(Session(run, CPU, listener)) as session:
        found = retrain_networks(session, asked(plan))
    return run, found, [weights_hash(stored_network(run, one.key).state_dict()) for one in found]


class Heard(Listener):
    """What is told of epochs, by network."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.epochs: dict[str, list[int]] = {}
        self.then = then

    def epoch(self, what: str, epoch: Epoch) -> None:
        self.epochs.setdefault(what, []).append(epoch.epoch)
        if what.startswith("network of trial"):
            self.then()


@pytest.mark.parametrize("start", ["scratch", "supernet", "teacher"])
def test_the_networks_are_those_of_one_process(tmp_path: Path, tiny: Plan, start: str) -> None:
    rules = replace(tiny.retrain, start="supernet" if start == "supernet" else "scratch")
    if start == "teacher":
        rules = replace(rules, distillation=DistillationRules(teacher=OWN_TEACHER))
    heard, found = {}, {}
    for count in (1, 2):
        heard[count] = Heard()
        its = replace(rules, processes=count)
        run, *rest = trained(tmp_path / f"{count}", tiny, its, heard[count])
        found[count] = (*rest, read_history(run))
        assert not list(run.folder.rglob("*.tmp"))
    assert len(started) == 2 and found[1] == found[2] and heard[1].epochs == heard[2].epochs
    assert all(process.poll() is not None for process in started)


def test_what_is_trained_is_not_begun_again(tmp_path: Path, tiny: Plan) -> None:
    rules = replace(tiny.retrain, processes=2)
    before = trained(tmp_path / "run", tiny, rules)[1:]
    assert trained(tmp_path / "run", tiny, rules)[1:] == before
    assert len(started) == 2


def test_a_teacher_of_a_notebook_teaches_in_its_process(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "teacher", lambda: Says(), raising=False)
    rules = replace(tiny.retrain, distillation=DistillationRules(teacher="__main__:teacher"))
    _, found, _ = trained(tmp_path / "run", tiny, replace(rules, processes=2))
    assert len(found) == 3 and not started


class Says(nn.Module):
    """A teacher that knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("logits", torch.zeros(1, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), 10)


@pytest.mark.parametrize("killed", ["one of them", "the search"])
def test_an_end_in_between_ends_all_and_is_resumed(tmp_path: Path, tiny: Plan, killed: str) -> None:
    """By a kill of one of the processes, or by Ctrl-C in the one that searches."""

    struck: list[bool] = []

    def strike() -> None:
        if killed == "the search":
            raise KeyboardInterrupt
        if not struck:  # another may be heard before the end of this one
            os.kill(started[0].pid, signal.SIGKILL)
        struck.append(True)

    rules = replace(tiny.retrain, training=replace(tiny.retrain.training, epochs=4))
    whole = trained(tmp_path / "whole", tiny, rules)[1:]
    rules = replace(rules, processes=3)
    expected = KeyboardInterrupt if killed == "the search" else StateError
    with pytest.raises(expected, match=r"network of trial \d ended with exit code -9.*|^$"):
        trained(tmp_path / "run", tiny, rules, Heard(strike))
    assert len(started) == 3 and all(process.poll() is not None for process in started)
    assert trained(tmp_path / "run", tiny, rules)[1:] == whole


def test_an_error_of_a_training_is_raised_here(tmp_path: Path, tiny: Plan) -> None:
    training = replace(tiny.retrain.training, lr=1e9, clip=0.0, warmup=0)
    with pytest.raises(StateError, match="training diverged"):
        trained(tmp_path / "run", tiny, replace(tiny.retrain, training=training, processes=2))
    assert all(process.poll() is not None for process in started)


def test_a_process_that_has_no_more_to_do_has_ended(tmp_path: Path, tiny: Plan) -> None:
    """Its memory is free, and nobody minds if the system kills it."""
    rules = replace(tiny.retrain, processes=2)
    longer = replace(rules, training=replace(rules.training, epochs=12))
    ended = []

    def strike() -> None:
        ended.append(started[0].poll() is not None)
        if len(ended) == 10:
            started[0].kill()

    run = begin_run(tmp_path / "run", replace(tiny, retrain=rules))
    with run.hold(), contextlib.closing(Session(run, CPU, Heard(strike))) as session:
        retrain_networks(session, [*asked(tiny)[:1], replace(asked(tiny)[1], rules=longer)])
    assert len(ended) == 14 and ended[-1]


class Unreadable:
    """Does not unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def begun(*sent: object, code: str = "") -> forked.Process:
    """A process that trains, which was asked this; `code` runs before."""
    main = f"{code}\nimport runpy\nrunpy.run_module({together.MODULE!r}, run_name='__main__')"
    process = forked.Process(["-c", main], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for one in sent:
        give(one, process.stdin)
    return process


def question(folder: Path, tiny: Plan, *, epochs: int, device: str = "cpu") -> list[Any]:
    """What a process is asked to train one network."""
    data, split = prepare(tiny.data, image=8, channels=1, seed=0)
    setting = Setting(data=data, device=device, threads=1, layouts={}, batch=64, own_teacher=None)
    training = replace(tiny.retrain.training, epochs=epochs)
    identity = fake_runs.alone(tiny, training=training, split=split.fingerprint)
    weights = untrained(identity).reset(0).state_dict()
    return [setting, Job(identity=identity, weights=weights, path=folder / "net", seed=0)]


def test_a_process_ends_when_nobody_can_ask_any_more(tmp_path: Path, tiny: Plan) -> None:
    """A search that is killed closes its ends of the pipes, and leaves no process behind."""
    with begun(*question(tmp_path, tiny, epochs=10**6), None) as process:
        kinds = [pickle.load(process.stdout)[0] for _ in range(2)]
        assert kinds[1] == ON_EPOCH
        process.stdin.close()
        assert process.wait(60) == 1


def test_a_process_ends_if_it_cannot_hold_what_it_is_asked() -> None:
    with begun(Unreadable()) as process:
        assert process.wait(60) == 1


def test_an_error_that_cannot_be_read_is_one(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = pickle.dumps((ENDED, Unreadable()))
    code = f"import os, sys\nos.write(1, {answer!r})\nsys.stdin.buffer.read()"
    monkeypatch.setattr(together, "Popen", lambda _, **more: forked.Process(["-c", code], **more))
    with pytest.raises(StateError, match="its error cannot be read: invalid literal"):
        trained(tmp_path / "run", tiny, replace(tiny.retrain, processes=2))


def test_what_a_device_or_a_folder_refuses_is_told(tmp_path: Path, tiny: Plan) -> None:
    with begun(*question(tmp_path, tiny, epochs=1, device="cuda:99")) as process:
        kind, error = pickle.load(process.stdout)
        assert kind == ENDED and isinstance(error, InputError)
    (tmp_path / "file").touch()
    with begun(*question(tmp_path / "file", tiny, epochs=1)) as process:
        kind, error = pickle.load(process.stdout)
        assert kind == ENDED and isinstance(error, CheckpointError)


def test_warnings_are_notes_and_streams_may_be_closed(tmp_path: Path, tiny: Plan) -> None:
    code = """
import os, warnings
import hnas.training.loop as loop
train = loop.train
def warned(*args, **more):
    warnings.warn("a library's\\n words")
    os.write(1, b"noise")
    return train(*args, **more)
import hnas.studies.search.network as network
network.train = warned
os.close(2)
"""
    with begun(*question(tmp_path, tiny, epochs=1), None, code=code) as process:
        answers = [pickle.load(process.stdout) for _ in range(5)]
    assert answers[0] == (NOTE, "a library's words") and answers[-1] == (ENDED, None)


def test_pixels_go_once_and_alone(tiny: Plan) -> None:
    """Parts of the images share their memory, also with the images of the test."""
    data, _ = prepare(replace(tiny.data, limit=0), image=8, channels=1, seed=0)
    file = io.BytesIO()
    give(data, file)
    shown = data.train.pixels.nbytes + data.held_out.pixels.nbytes
    assert data.train.pixels.untyped_storage().nbytes() > shown
    assert len(file.getvalue()) < shown + 8 * 2_000 + 10_000
    got = pickle.loads(file.getvalue())
    for part in ("train", "held_out"):
        assert torch.equal(getattr(got, part).pixels, getattr(data, part).pixels)
        assert torch.equal(getattr(got, part).labels, getattr(data, part).labels)


def test_a_process_has_the_threads_of_its_crew(tmp_path: Path, tiny: Plan) -> None:
    """Whatever MKL_NUM_THREADS says."""
    setting, _ = question(tmp_path, tiny, epochs=1)
    _begun(replace(setting, threads=3))
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("plan", "threads", "work", "expected"),
    [
        (0, 1, [10**12] * 5, Crew(size=1, threads=1)),
        (0, 2, [10**12] * 5, Crew(size=2, threads=1)),
        (0, 16, [10**12] * 5, Crew(size=5, threads=3)),
        (0, 16, [10**9] * 5, Crew(size=1, threads=16)),  # too little to pay for a start
        (0, 16, [6 * 10**10] * 4, Crew(size=2, threads=8)),
        (0, 4, [], Crew(size=1, threads=4)),
        (1, 8, [10**12] * 5, Crew(size=1, threads=8)),
        (3, 1, [10**3] * 5, Crew(size=3, threads=1)),
        (3, 8, [10**3] * 2, Crew(size=2, threads=4)),
    ],
)
def test_the_crew_follows_from_the_plan_and_the_threads(
    monkeypatch: pytest.MonkeyPatch, plan: int, threads: int, work: list[int], expected: Crew
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert crew(plan, CPU, work) == expected
    assert crew(plan, CPU, work, ranks=2).size == 1


def test_each_gpu_trains_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    gpu, work = torch.device("cuda"), [10**13] * 6
    assert crew(0, gpu, work) == Crew(size=4, threads=2)
    assert crew(0, gpu, work[:3]).size == 3
    assert crew(2, gpu, work).size == 2
    assert crew(0, torch.device("cuda:1"), work).size == 1  # the one that was asked for
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert crew(0, gpu, work).size == 1


def test_processes_on_gpus_get_what_this_one_does_not_use(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, _ = question(tmp_path, tiny, epochs=1, device="cuda")
    emptied: list[int] = []
    monkeypatch.setattr(together, "_setting", lambda *_: setting)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))
    with contextlib.closing(Session(begin_run(tmp_path / "run", tiny), CPU)) as session:
        together.train_apart(session, [], Crew(size=2, threads=1))
    assert emptied


def test_processes_that_memory_does_not_hold_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "peak_memory", lambda: 2**30)
    for free, expected in ((None, 4), (2**40, 4), (2 * 2**30, 2), (2**20, 1)):
        monkeypatch.setattr(processes, "free_memory", lambda free=free: free)
        assert at_once(4, 0) == expected
    monkeypatch.setattr(processes, "free_memory", lambda: 2**32)
    assert at_once(4, 2**31) == 1


def test_pixels_are_sent_without_a_copy() -> None:
    class Pipe(io.BytesIO):
        def write(self, some: Any) -> int:
            size = memoryview(some).nbytes
            return size if size > 2**20 else super().write(some)

    pixels, few = torch.zeros(64, 3, 256, 256, dtype=torch.uint8), io.BytesIO()
    tracemalloc.start()
    give(pixels, Pipe())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < pixels.nbytes / 8
    some = pixels[1:9:2] + 7
    give({"some": some, "other": torch.ones(2)}, few)
    found = pickle.loads(few.getvalue())
    assert torch.equal(found["some"], some) and torch.equal(found["other"], torch.ones(2))


def alive() -> list[int]:
    """The ids of the processes that were started and have not ended."""
    return [process.pid for process in started if process.poll() is None]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds threads")
def test_processes_are_not_bound_to_the_core_of_a_thread(tmp_path: Path, tiny: Plan) -> None:
    every, found = os.sched_getaffinity(0), []
    if len(every) < 2:
        pytest.skip("needs two cores")
    free = threading.Event()
    thread = threading.Thread(target=free.wait)
    thread.start()
    try:
        os.sched_setaffinity(0, {min(every)})
        heard = Heard(lambda: found.extend(map(os.sched_getaffinity, alive())))
        trained(tmp_path / "run", tiny, replace(tiny.retrain, processes=2), heard)
    finally:
        os.sched_setaffinity(0, every)
        free.set()
        thread.join()
    assert found and all(its == every for its in found)


def test_a_number_of_processes_is_checked(tiny: Plan) -> None:
    with pytest.raises(InputError, match="processes must be >= 0, got -1"):
        replace(tiny.retrain, processes=-1)


def test_an_answer_that_ends_a_training_brings_its_error() -> None:
    assert pickle.loads(pickle.dumps((ENDED, StateError("why"))))[1].args == ("why",)
