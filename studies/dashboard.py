"""optuna-dashboard for the studies of a search, in this process: its own command line is slower."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import BaseStorage
from optuna_dashboard import save_note, wsgi  # type: ignore[import-untyped]

from hnas.errors import InputError, StorageError
from studies.run import Run
from studies.storage import open_storage, open_study, storage_errors, study_names

NOTE = "dashboard:note"
"""How the attributes begin that optuna-dashboard keeps a study's note in."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A person at the browser needs no log of their requests."""


def dashboard(url: str, *, host: str = "127.0.0.1", port: int = 8080) -> WSGIServer:
    """A server of the dashboard, bound and not yet serving (`serve_forever`); port 0: any free one.

    Raises InputError where `host` is not this machine alone or the port cannot be had, StorageError
    where the storage cannot be read.
    """
    _check_loopback(host)
    application: Callable[..., object] = wsgi(open_storage(url))
    try:
        return make_server(
            host,
            port,
            application,  # type: ignore[arg-type]  # bottle's, a WSGI application
            server_class=_Server,
            handler_class=_Quiet,
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--port {port} cannot be used on {host}: {reason}. Choose another"
        ) from None


def _check_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(
            f"--host must be this machine's own, 127.0.0.1 or localhost, got {host!r}: the "
            "dashboard asks for no password, and who reaches it can delete studies. From another "
            "machine use a tunnel: ssh -L 8080:127.0.0.1:8080 HOST"
        )


def link_stages(run: Run) -> None:
    """Puts a note on the studies of a run, with a link to the other where there are two; once all
    are there, and where they have none. A storage that cannot be written is left as it is."""
    storage = open_storage(run.storage)
    names = [run.study_name(number) for number in range(1, len(run.stages) + 1)]
    if not set(names) <= set(study_names(storage)):
        return
    with contextlib.suppress(StorageError):
        for number, name in enumerate(names, 1):
            others = {i: other for i, other in enumerate(names, 1) if i != number}
            _note(storage, name, _text(storage, run, number, others))


def _note(storage: BaseStorage, name: str, text: str) -> None:
    with storage_errors(f"the note of {name!r} cannot be stored"):
        attrs = storage.get_study_system_attrs(storage.get_study_id_from_name(name))
        if not any(key.startswith(NOTE) for key in attrs):
            save_note(open_study(storage, name), text)


def _text(storage: BaseStorage, run: Run, number: int, others: Mapping[int, str]) -> str:
    links = []
    for other, name in others.items():
        with storage_errors(f"the study {name!r} cannot be found"):
            address = f"/dashboard/studies/{storage.get_study_id_from_name(name)}"
        links.append(f"\nThe other stage: [stage {other}, `{name}`]({address})\n")
    return (
        f"## Stage {number} of the {run.plan.search.strategy} search `{run.name}`\n\n"
        f"{run.stage(number).about}\n\n"
        "Values: accuracy on held-out images with inherited weights (up), multiply-accumulates of "
        "one image (down).\n" + "".join(links)
    )
