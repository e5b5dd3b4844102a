"""Refuse a step of a foreign computation before its result would fill the memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from lsp_core.models.outside.formats import OutsideError

LIMIT = 2**30  # bytes that all steps on one image make together; DenseNet-161 at 224 pixels makes 0.4 of it
SLACK = 64 * 2**20  # bytes that building a model makes besides its weights
OF_DATA = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero")  # whose results no shape tells, and which are small


class Bounded(TorchDispatchMode):
    """While it is on, torch makes ``limit`` bytes at most, counted without what it has freed meanwhile.

    What an operator would make is asked of its shapes first, on torch's device "meta", where nothing is allocated.
    """

    def __init__(self, limit: int):
        super().__init__()
        self.limit = self.left = limit

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, if its result fits.

        Raises:
            OutsideError: if it does not.
        """
        kwargs = kwargs or {}
        if not any(result.alias_info for result in func._schema.returns):  # a view makes nothing
            self.left -= _size(func, args, kwargs)
        if self.left < 0:
            raise OutsideError(f"it would need more than {self.limit / 2**20:,.0f} MiB of memory.")
        return func(*args, **kwargs)


def _size(func: Any, args: Any, kwargs: dict[str, Any]) -> int:
    if func.overloadpacket.__name__ in OF_DATA:
        return 0
    args, kwargs = tree_map_only(Tensor, _shape_of, (args, kwargs))
    if "device" in kwargs:
        kwargs = {**kwargs, "device": torch.device("meta")}
    made = [one for one in tree_leaves(func(*args, **kwargs)) if isinstance(one, Tensor)]
    return sum(one.numel() * one.element_size() for one in made)


def _shape_of(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")
