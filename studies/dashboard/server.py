"""A server of optuna-dashboard in this process; its own command line is slower."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi  # type: ignore[import-untyped]

from hnas.errors import HnasError, InputError
from hnas.studies.dashboard.guard import Application, Guarded
from hnas.studies.trials.database import open_storage

PAUSE = 30.0
"""Least seconds between two refreshes."""
SHARE = 0.02
"""Largest share of the time for refreshing."""
STYLE = b"""<style>
main p { white-space: normal; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main, main .MuiBox-root, main p { min-width: 0 !important; }
  main fieldset, main .MuiCardContent-root, main .MuiCardContent-root .MuiBox-root,
  main .MuiBox-root:has(> p), main .MuiBox-root:has(> .MuiDivider-vertical) { flex-wrap: wrap; }
  main .MuiBox-root:has(> ul) { width: 100% !important; height: 9rem !important; }
  main .MuiPaper-root { max-width: 100%; }
  main .MuiPaper-root, main .MuiCardContent-root { overflow-x: auto; }
  main [class*="MuiGrid"]:not([class*="container"]) { width: 100% !important; max-width: 100%; }
  main [class*="MuiGrid-grid-xs"] { flex-basis: 100% !important; max-width: 100% !important; }
}
</style>"""
"""optuna-dashboard writes an attribute in one line, an architecture wider than two screens. On a
phone what it puts side by side is wider than the window: here it stands below each other, the list
of trials gets a few lines above the trial, and wide tables scroll in their boxes."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A person at the browser needs no log of their requests."""


def dashboard(
    url: str,
    *,
    artifacts: Path | None = None,
    refresh: Callable[[], None] | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> WSGIServer:
    """A server of the dashboard, bound and not yet serving (`serve_forever`); port 0: any free one.

    `artifacts` is the folder of the studies' files. `refresh` is called now and then while someone
    looks at a study, and may fail. Raises InputError if `host` is not this machine alone or the
    port is taken, StorageError if the storage cannot be read.
    """
    _check_loopback(host)
    store = FileSystemArtifactStore(artifacts) if artifacts else None
    application: Application = Styled(wsgi(open_storage(url), store))
    if refresh is not None:
        application = Refreshed(application, refresh)
    try:
        return make_server(
            host, port, Guarded(application), server_class=_Server, handler_class=_Quiet
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--port {port} cannot be used on {host}: {reason}. Choose another"
        ) from None


class Styled:
    """An application whose pages have STYLE too."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/dashboard"):
            return self._application(environ, start_response)
        said: list[Any] = []
        given = self._application(environ, lambda *answer: said.append(answer))
        try:
            page = b"".join(given).replace(b"</head>", STYLE + b"</head>", 1)
        finally:
            getattr(given, "close", bool)()
        status, headers, *error = said[-1]
        if page:  # a HEAD and a 304 have none
            headers = [one for one in headers if one[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(page))))
        start_response(status, headers, *error)
        return [page]


class Refreshed:
    """An application that calls `refresh` when a page asks for a study: in a thread, so that nobody
    waits, and with pauses, so that a running search is not slowed."""

    def __init__(self, application: Application, refresh: Callable[[], None]) -> None:
        self._application, self._refresh = application, refresh
        self._turn = threading.Lock()
        self._next = time.monotonic() + PAUSE

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asks = environ["PATH_INFO"].startswith("/api/studies/")
        if asks and time.monotonic() >= self._next and self._turn.acquire(blocking=False):
            threading.Thread(target=self._work, daemon=True).start()
        return self._application(environ, start_response)

    def _work(self) -> None:
        begun = time.monotonic()
        try:
            with contextlib.suppress(HnasError):  # the dashboard shows what there is
                self._refresh()
        finally:
            spent = time.monotonic() - begun
            self._next = time.monotonic() + max(PAUSE, spent / SHARE)
            self._turn.release()


def _check_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(
            f"--host must be 127.0.0.1 or localhost, got {host!r}: the dashboard asks for no "
            "password, and whoever reaches it can delete studies. From another machine use a "
            "tunnel: ssh -L 8080:127.0.0.1:8080 HOST"
        )
