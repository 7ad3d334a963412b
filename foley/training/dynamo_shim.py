"""Optimisers that do not load torch.compile, which takes nearly as long to load as all of torch.

An optimiser of torch imports ``torch._dynamo`` when it is made and at every step, to tell a compiler where
not to look. Nothing is compiled in training here. Until something asks for more of it, a module that says
nothing to nobody stands in its place.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

_NAME = "torch._dynamo"


class _Absent(ModuleType):
    """What optimisers ask of ``torch._dynamo``; whatever else is asked brings the module itself."""

    @staticmethod
    def graph_break(msg: str = "") -> None:
        """Do nothing, as outside of compiled code."""

    @staticmethod
    def disable(fn: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        """Give the function back: nothing compiles it."""
        return fn

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(importlib.import_module(_NAME), name)


def leave_compiler_unloaded() -> None:
    """Keep optimisers from loading ``torch._dynamo``, unless that has been loaded already."""
    if _NAME not in sys.modules:
        absent = _Absent(_NAME)
        sys.modules[_NAME] = absent
        torch._dynamo = absent
