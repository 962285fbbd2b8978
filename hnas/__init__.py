"""Neural architecture search of GLiT networks: `import hnas; hnas.search(data="photos")`.

`open_run` is that of `hnas.studies.api`, `search` is the same with progress on a screen, and `Stop`
ends a search from within a callback. They are imported when first asked for, so that `import hnas`
loads no torch. Of this floor, only this file and `hnas.__main__` import upwards.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Stop", "__version__", "open_run", "search"]

if TYPE_CHECKING:
    from hnas.cli.python import search
    from hnas.studies.api import open_run
    from hnas.studies.search.events import Stop
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from hnas.cli import python
        from hnas.studies import api
        from hnas.studies.search import events

        return {"search": python.search, "open_run": api.open_run, "Stop": events.Stop}[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
