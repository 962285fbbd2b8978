"""Processes that train one network together, on one machine or several (torchrun).

The processes share a step's micro-batches and sum the gradients. All hold the same weights and draw
the same subnets, so a weight without a gradient in one process has none in all. Only the first
process has files, a storage and a terminal. Jobs go through the launcher's store. Tensors go
through gloo or NCCL, in a process group that lives for one training. In between, however long, the
others ask the store for the next job.
"""

import itertools
import json
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from hnas.errors import HnasError, InputError, StateError

ASKING = 0.05
"""Seconds between two looks at the store."""
PATIENCE = timedelta(minutes=10)
"""How long one exchange may take: the slowest process's part of a step, or a checkpoint."""
SILENT = 60
"""Seconds without a sign of life after which a process is taken for gone."""
LEAVING = 30.0
"""Seconds that a process which cannot go on waits for the first one to end all."""
RESUMES = "The last checkpoint is kept, and the same command resumes from there"


class ProcessLost(StateError):
    """Another process is gone."""


class World:
    """The processes that train together, seen from one of them; by default a single one."""

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None) -> None:
        """`store` is the launcher's, which all have in common; `connect` finds it."""
        self.rank, self.size, self._store = rank, size, store
        self._jobs, self._meetings = itertools.count(), itertools.count()
        self._on_cpu = True

    # What a training uses

    def share(self, count: int) -> range:
        """This process's share of `count` micro-batches. Raises InputError if a process would have
        none."""
        if count < self.size:
            raise InputError(
                f"{self.size} processes train together and a step has {count} micro-batches: each "
                "process needs one. Start fewer, or set a smaller micro_batch in the plan's tables "
                "of training, in another --run"
            )
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    @contextmanager
    def process_group(
        self, device: torch.device, job: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """Within it the processes can exchange tensors of `device`.

        The first one asks the others for `job`, if they wait for jobs. Raises StateError if one of
        them cannot take part.
        """
        if self._store is None:
            yield
            return
        if job is not None:
            self.ask(job)
        self._on_cpu = device.type == "cpu"
        meeting = next(self._meetings)
        try:
            self._meet(f"meeting/{meeting}")
            backend = "gloo" if self._on_cpu else "nccl"
            store = PrefixStore(f"group/{meeting}", self._store)
            with self._talking():
                dist.init_process_group(
                    backend, store=store, rank=self.rank, world_size=self.size, timeout=PATIENCE
                )
            yield
        except Exception as error:
            self.tell(error)  # before the others find that this process is gone
            raise
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    def begin_sum(self, values: Tensor) -> Callable[[], None]:
        """Begins to replace `values` (n,) by its sum over the processes, the same bits in all of
        them, and gives what waits until it is.

        On CPU, neighbours first, then neighbours of neighbours: the order of
        `hnas.training.micro_batches` continues, so that a power of two of processes gets the bits
        that one gets. On a GPU in the library's order.
        """
        if self._store is None:
            return lambda: None
        parts = [torch.empty_like(values) for _ in range(self.size if self._on_cpu else 0)]
        with self._talking():
            if parts:
                works = [dist.all_gather(parts, values, async_op=True)]
            else:
                works = [dist.all_reduce(values, async_op=True)]

        def end() -> None:
            left = parts
            with self._talking():
                works.pop().wait()  # an error keeps this frame, and must not keep the work
            while len(left) > 1:
                for part, neighbour in zip(left[::2], left[1::2], strict=False):
                    part += neighbour
                left = left[::2]
            if left:
                values.copy_(left[0])

        return end

    def broadcast(self, tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The first process's `tensors`, on CPU, in every process of a process group."""
        with self._talking():
            given = [{name: tensor.detach().cpu() for name, tensor in tensors.items()}]
            dist.broadcast_object_list(given, 0, device=device)
            return given[0]

    # What the first process and the others tell each other

    def ask(self, job: Mapping[str, Any]) -> int:
        """Tells the others, who wait in `jobs`, what to do next; gives the job's number."""
        number = next(self._jobs)
        if self._store is not None and self.rank == 0:
            self._store.set(f"job/{number}", json.dumps({**job, "job": number}))
        return number

    def jobs(self) -> Iterator[dict[str, Any]]:
        """The jobs of the first process, in turn, each with its number, `job`; without end, as this
        process ends with it."""
        for number in self._jobs:
            assert self._store is not None
            while not self._store.check([key := f"job/{number}"]):
                time.sleep(ASKING)
            yield json.loads(self._store.get(key))

    def give(self, name: str, value: object) -> None:
        """Leaves a value, which JSON has, to `take`."""
        assert self._store is not None
        self._store.set(f"given/{name}", json.dumps(value))

    def take(self, name: str) -> Any:
        """What another process gives under this name, once it does. Raises StateError if one cannot
        go on."""
        assert self._store is not None
        with self._talking():
            while not self._store.check([key := f"given/{name}"]):
                self._check()
                time.sleep(ASKING / 10)
            return json.loads(self._store.get(key))

    def tell(self, error: Exception) -> None:
        """Tells the first process why this one cannot go on, if no other has told it before."""
        if self._store is None or self.rank == 0 or isinstance(error, ProcessLost):
            return
        text = str(error) if isinstance(error, HnasError) else traceback.format_exc()
        self._store.compare_set("fault", "", f"process {self.rank} of {self.size}: {text}")

    def leave(self, error: Exception) -> NoReturn:
        """Ends a process that is not the first and cannot go on. The first one shows why and ends
        this one; if the first is gone or stuck, this one does both."""
        self.tell(error)
        if isinstance(error, ProcessLost):
            time.sleep(LEAVING / 10)
        else:
            time.sleep(LEAVING)
            text = f"Error: process {self.rank} of {self.size}: {error}"
            print(text, file=sys.stderr, flush=True)
        os._exit(1)

    def close(self) -> None:
        """Ends the others if this is the first process, whatever they do; else waits for the first
        one to end this process."""
        if self._store is None:
            return
        while self.rank:
            time.sleep(ASKING)
        gone = [f"gone/{rank}" for rank in range(1, self.size)]
        with suppress(RuntimeError):  # the launcher's store is gone, and so are all that look at it
            self._store.set("end", "")
            until = time.monotonic() + 2  # the store may be this process's own
            while not self._store.check(gone) and time.monotonic() < until:
                time.sleep(ASKING)

    def _meet(self, name: str) -> None:
        """Waits for all processes; the first one raises the error that another has told."""
        assert self._store is not None
        with self._talking():
            self._store.set(f"{name}/{self.rank}", "")
            all_here = [f"{name}/{rank}" for rank in range(self.size)]
            while not self._store.check(all_here):
                self._check()
                time.sleep(ASKING)
            self._check()

    def _check(self) -> None:
        assert self._store is not None
        if self.rank == 0 and self._store.check(["fault"]):
            raise StateError(self._store.get("fault").decode())

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Turns errors of talking into the other process's own words, or a ProcessLost."""
        try:
            yield
        except RuntimeError as error:
            with suppress(RuntimeError):  # the store may be gone too
                self._check()
            reason = re.sub(r"^\[\S+\] ", "", str(error).split(". ")[0]) or "no reason is given"
            raise ProcessLost(
                f"another of the {self.size} processes that train together is gone ({reason}). "
                f"{RESUMES}"
            ) from None


ONE_PROCESS = World()


def connect() -> World:
    """The world that a launcher has put this process in, by the environment (torchrun's names).

    A process that is not the first ends as soon as the first has, whatever it does then. The first
    ends, with a message, if another gives no sign of life for SILENT seconds: it may wait for that
    one where no exception reaches it, NCCL for PATIENCE and then without a word.
    """
    (store, rank, size), (own, _, _) = (next(rendezvous("env://", timeout=PATIENCE)) for _ in "ab")
    look = partial(_end_with_the_first, own, rank) if rank else partial(_watch, own, size)
    threading.Thread(target=look, daemon=True).start()
    return World(rank, size, store)


def _end_with_the_first(store: Store, rank: int) -> None:
    """Ends this process at once: it keeps nothing, and may wait where no exception reaches it.
    Until then it gives signs of life."""
    try:
        while not store.check(["end"]):
            store.add(f"alive/{rank}", 1)
            time.sleep(ASKING)
        store.set(f"gone/{rank}", "")
    except RuntimeError:
        os._exit(1)  # the first process is gone, and the store that was its own
    os._exit(0)


def _watch(store: Store, size: int) -> None:
    """Ends the first process if another that has begun falls silent before the end. Looks are
    counted, not time: of processes that are stopped together, and go on together, none was
    silent."""
    signs, looks = [0] * size, [0] * size
    with suppress(RuntimeError):  # the store is gone, and the first process finds out by itself
        while not store.check(["end"]):
            for rank in range(1, size):
                found = store.add(f"alive/{rank}", 0)
                looks[rank] = looks[rank] + 1 if found == signs[rank] > 0 else 0
                signs[rank] = found
                if looks[rank] > SILENT:
                    text = (
                        f"Error: process {rank} of {size} is gone, or stuck: it has given no sign "
                        f"of life for {SILENT} seconds. {RESUMES}"
                    )
                    print(text, file=sys.stderr, flush=True)
                    os._exit(1)
            time.sleep(1)
