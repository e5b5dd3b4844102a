"""LSP Lab's core: train, attack and evaluate image classifiers with Local Structure Preserving regularization.

Its public names are those of ``lsp_core.api``, loaded at the first use of one: torch takes two seconds to import.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsp_core.api import *  # noqa: F403


class _Core(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "__all__" or not name.startswith("_"):
            api = importlib.import_module("lsp_core.api")
            if name == "__all__" or name in api.__all__:
                return getattr(api, name)
            if name in vars(self):  # a folder that was loaded with it
                return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        # ``lsp_core.audit`` is the function. The package of that name, which any import of it would put there, is not.
        if not (name == "audit" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__})


sys.modules[__name__].__class__ = _Core
