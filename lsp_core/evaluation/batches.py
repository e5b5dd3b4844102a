"""How many images a pass takes at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsp_core.evaluation.passes import FEWEST

CACHE = 8 * 2**20  # bytes of activations that a core works on without waiting for memory, about
AT_LEAST = 32  # smaller passes spend their time on overhead


def images_at_once(model: nn.Module, images: Tensor, most: int) -> int:
    """Return how many of such images (N,C,H,W) a pass on one core takes best, at most ``most``.

    A pass of some images is looked at for what the backward pass would keep; it is counted, not timed, so that the same
    command makes the same batches. A GPU takes as many as it is given.
    """
    if images.is_cuda:
        return most
    some, kept = images[:FEWEST], dict[int, int]()

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(some.detach().clone().requires_grad_())
    for weight in (*model.parameters(), *model.buffers()):
        kept.pop(weight.untyped_storage().data_ptr(), None)
    each = max(1, sum(kept.values()) // len(some))
    return min(most, max(AT_LEAST, CACHE // each))
