"""Zirkel: AI in production, measurable, repeatable and auditable.

For programs to be observed: ``init``, ``observe``, ``score``, ``prompt`` and what goes with them; to be measured:
``evaluate``. Importing this is light; what a name needs is imported when the name is first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zirkel.client import (
        Delivery,
        Prompt,
        current_trace_id,
        delivery,
        evaluate,
        flush,
        init,
        observe,
        prompt,
        score,
        shutdown,
        trace_headers,
        update_current,
    )

__version__ = "0.1.0"

__all__ = [
    "Delivery",
    "Prompt",
    "__version__",
    "current_trace_id",
    "delivery",
    "evaluate",
    "flush",
    "init",
    "observe",
    "prompt",
    "score",
    "shutdown",
    "trace_headers",
    "update_current",
]


_ALSO_ROOMS = frozenset({"evaluate", "observe"})


class _Package(ModuleType):
    """This package, whose ``observe`` and ``evaluate`` are functions also in a process that imports those rooms."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a module makes it an attribute of its package; ``from zirkel.observe import …`` does without that.
        if not (name in _ALSO_ROOMS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zirkel.client"), name)


def __dir__() -> list[str]:
    return __all__
