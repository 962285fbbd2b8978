"""What optuna-dashboard answers, asked as its pages ask."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

from optuna.storages import RDBStorage


def asked(url: str) -> Callable[..., Any]:
    """`get(path, query)` of a dashboard on the storage at `url`: what it answers in JSON."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own libraries
        from optuna_dashboard import wsgi

    app = wsgi(RDBStorage(url))

    def get(path, query=""):
        request = {"PATH_INFO": path, "QUERY_STRING": query}
        setup_testing_defaults(request)
        request["wsgi.input"] = io.BytesIO()
        answer = []

        def start(status, headers, error=None):
            answer.append(status)

        body = b"".join(app(request, start))
        assert answer == ["200 OK"]
        return json.loads(body)

    return get
