"""URLs of databases: shown without their secrets, resolved to what they name from any folder."""

import os
import re
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL, exc, make_url

from hnas.errors import InputError

PATH = re.compile(r"[\w.~-]*[./][\w./~-]*")
"""A file's name, typed instead of a URL."""
PARAMETER = re.compile(r"([?&;]([^=&;]+)=)[^&;]*")
SHOWN = {
    *("host", "port", "user", "dbname", "service", "driver", "charset", "ssl", "sslmode"),
    *("mode", "uri", "cache", "timeout", "connect_timeout", "application_name"),
}
"""Parameters of a URL that hold no secret."""


def masked(url: str) -> str:
    """The URL with `***` for its passwords; of what is no URL, only what can hold none is shown.

    What is masked stays as it is if it is masked again.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url if PATH.fullmatch(url) else _scheme(url) + "***"
    user, at, place = rest.rpartition("@")
    name = re.match(r"/*[\w.-]*" if not scheme.startswith("sqlite") else "[^:]*", user)
    if name and name[0] != user:
        user = f"{name[0]}:***"
    elif not at and not _is_url(url):
        place = "***"
    shown = f"{_scheme(url) if _scheme(url) == scheme else '***'}://{user}{at}{place}"
    return PARAMETER.sub(lambda m: m[0] if m[2].lower() in SHOWN else f"{m[1]}***", shown)


def _scheme(url: str) -> str:
    """The name of a database and its driver that a text begins with; empty if it is none."""
    found = re.match(r"(?i)(postgres|mysql|mariadb|sqlite|mssql|oracle|\w+(?=://))[\w+]*", url)
    return found[0] if found else ""


def _is_url(url: str) -> bool:
    try:
        make_url(url)
    except (exc.ArgumentError, ValueError):
        return False
    return True


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has.

    Raises InputError if it has bytes that are no text.
    """
    check_text(file)
    return URL.create("sqlite", database=os.path.abspath(file)).render_as_string()


def absolute(url: str) -> str:
    """The URL that means the same from any folder: SQLite's file by its whole path."""
    with suppress(exc.ArgumentError, ValueError):  # one that is malformed is told when it is opened
        target, file = make_url(url), make_url(url).database or ""
        sqlite = target.get_backend_name() == "sqlite" and file and not file.startswith(":")
        if sqlite and not file.startswith("file:") and not os.path.isabs(file):
            target = target.set(database=os.path.abspath(file))
            return target.render_as_string(hide_password=False)
    return url


def check_text(path: Path | str) -> None:
    """Raises InputError if a path has bytes that are no text: no database or JSON can name it."""
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"the path {os.path.abspath(path)!a} must be text in UTF-8, some of its bytes are not: "
            "rename it"
        ) from None
