"""Neural architecture search of GLiT networks: `import hnas; hnas.search(data="photos")`.

`search` and `open_run` are those of `hnas.studies.api`, imported when first asked for, so that
`import hnas` loads no torch. Of this floor, only this file and `hnas.__main__` import upwards.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "open_run", "search"]

if TYPE_CHECKING:
    from hnas.studies.api import open_run, search
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from hnas.studies import api

        return getattr(api, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
