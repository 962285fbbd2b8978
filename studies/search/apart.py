"""A process that trains networks for a search: it is asked on its standard input, and answers on
its standard output, by pickles.

    python -P -m hnas.studies.search.apart     started by `hnas.studies.search.together`

It ends when nobody can ask any more, whatever it does just then: no process outlives its search.
"""

import copyreg
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from hnas.data import Data
from hnas.device import choose, fits_memory
from hnas.errors import HnasError
from hnas.network.local.layouts import use
from hnas.studies.run.networks import Identity
from hnas.studies.search.network import judge_of, same_teacher, train_network, untrained
from hnas.training.distillation import Teacher
from hnas.training.loop import Context

BEFORE_KEPT, ON_EPOCH, NOTE, REFUSED, ENDED = "before", "epoch", "note", "refused", "ended"
"""Kinds of answers. BEFORE_KEPT waits until it is heard, ENDED brings the error, if any."""
FEWER = "If memory was not enough, let fewer train at the same time: retrain.processes in the plan"
Tell = Callable[[str, Any], None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the trainings of one process have in common; all tensors are on the CPU."""

    data: Data
    device: str
    threads: int
    layouts: Mapping[str, str]
    batch: int
    """Held-out images at a time."""
    own_teacher: Teacher | None
    """The CNN that the search has trained; other teachers are loaded."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network to train."""

    identity: Identity
    weights: dict[str, Tensor]
    """Those that it begins with."""
    path: Path
    """Its checkpoint."""
    seed: int


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Trains what is asked for, until nobody asks any more."""
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(asked, heard), daemon=True).start()

    one_by_one = threading.Lock()  # threads that read images may warn

    def tell(kind: str, what: Any) -> None:
        with one_by_one:
            give((kind, what), answers)
        if kind == BEFORE_KEPT:
            heard.get()

    if not sys.warnoptions:  # -W and PYTHONWARNINGS are for developers
        warnings.showwarning = lambda text, *_, **__: tell(NOTE, " ".join(str(text).split()))
    setting, data = heard.get(), None
    while True:
        job: Job = heard.get()
        try:
            data = data or _begun(setting)
            _train(job, data, setting, tell)
        except (HnasError, OSError) as error:
            tell(ENDED, error)
        else:
            tell(ENDED, None)


def give(what: object, to: IO[bytes]) -> None:
    """Pickles to a pipe. Of a tensor goes what it shows: torch's own pickle has all the memory that
    it shares with others, such as the images of the test, and again for each of them."""
    pickler = pickle.Pickler(to, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, Tensor: _numbers}
    pickler.dump(what)
    to.flush()


def _numbers(tensor: Tensor) -> tuple[Callable[..., Tensor], tuple[Any]]:
    return torch.from_numpy, (tensor.detach().numpy(),)


def _hear(asked: IO[bytes], heard: "queue.SimpleQueue[Any]") -> None:
    try:
        while True:
            heard.put(pickle.load(asked))
    except (EOFError, OSError, pickle.UnpicklingError):  # the last one torn: the search is gone
        pass
    except BaseException:  # memory
        traceback.print_exc()
    os._exit(1)


def _begun(setting: Setting) -> Data:
    """The images on the device, which is to compute as the setting says."""
    device = choose(setting.device)
    torch.set_num_threads(setting.threads)  # MKL_NUM_THREADS would have said other ones
    use(setting.layouts)
    with fits_memory(FEWER):
        return setting.data.to(device)


def _train(job: Job, data: Data, setting: Setting, tell: Tell) -> None:
    of, own, device = job.identity, setting.own_teacher, data.mean.device
    teacher = same_teacher(of, data, own and own.copied(device))
    net = untrained(of)
    net.load_state_dict(job.weights)
    context = Context(
        path=job.path,
        identity=of.to_dict(),
        judge=None if of.held_out_too else judge_of(data, batch=setting.batch, metric=of.metric),
        before_kept=lambda epoch: tell(BEFORE_KEPT, epoch),
        on_epoch=lambda epoch: tell(ON_EPOCH, epoch),
        on_note=lambda text: tell(NOTE, text),
        on_refused=lambda why: tell(REFUSED, why),
    )
    data = data.with_held_out() if of.held_out_too else data
    train_network(net.to(device), data, of, teacher, seed=job.seed, context=context)


def main() -> None:
    # Ctrl-C reaches all processes, but only the search acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    while (free := os.open(os.devnull, os.O_RDWR)) < 3:
        pass  # a closed descriptor would become that of the answers
    os.close(free)
    answers = os.fdopen(os.dup(1), "wb")  # what libraries print is no answer
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
