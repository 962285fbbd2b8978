"""The dashboard's guard: only its own pages ask it, and nothing that a study holds runs a script.

A page of another site, open in the same browser, can send requests to this machine, also under a
name of its own that it lets point here (DNS rebinding). They would be answered, and could delete
studies. What a study or a run's folder holds, as artifacts and notes, may come from someone else.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""Of WSGI."""
HERE = re.compile(r"(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
"""Names of this machine for itself. A tunnel may come from another port."""
PAGES = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none';"
    " frame-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The policy of the dashboard's own pages: scripts of its own file alone. plotly.js needs eval."""
ARTIFACTS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""The policy of artifacts: no scripts, in an origin of their own."""
SHOWN = {
    *("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"),
    *("text/plain", "audio/mpeg", "audio/wav", "video/mp4", "video/webm"),
}
"""Types of artifacts that a browser may show. Other text (pages, scripts) is shown as plain text,
and all else is to be saved."""
PLAIN = "text/plain; charset=utf-8"


class Guarded:
    """An application behind the guard."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if (reason := refusal(environ)) is not None:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [reason.encode()]
        path = "/" + environ.get("PATH_INFO", "").lstrip("/")

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, guarded(path, headers), *error)

        return self._application(environ, start)


def refusal(environ: dict[str, Any]) -> str | None:
    """The reason why a request is not answered; None if it is."""
    host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
    if not HERE.fullmatch(host):
        return (
            f"The dashboard must be asked as 127.0.0.1 or localhost, got {host!r}. "
            "From another machine use a tunnel: ssh -L 8080:127.0.0.1:8080 HOST\n"
        )
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        return f"Only pages of the dashboard may ask it, got the origin {origin!r}\n"
    return None


def guarded(path: str, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers of an answer, with the policy of what is at the path."""
    ours = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    dropped = {"access-control-allow-origin"}
    if path.startswith("/artifacts/"):
        ours |= {"Content-Security-Policy": ARTIFACTS}
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        of = kind.partition(";")[0].strip().lower()
        if of not in SHOWN and of.startswith("text/"):
            kind = PLAIN
        elif of not in SHOWN:
            kind = "application/octet-stream"
            ours |= {"Content-Disposition": "attachment"}
        ours |= {"Content-Type": kind}
    else:
        ours |= {"Content-Security-Policy": PAGES}
    dropped |= {name.lower() for name in ours}
    return [one for one in headers if one[0].lower() not in dropped] + list(ours.items())
