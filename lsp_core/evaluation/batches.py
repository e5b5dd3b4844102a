"""How images are worked at: how many at once, and how many batches side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from lsp_core.evaluation.passes import FEWEST
from lsp_core.workers import pick_workers, portions, side_by_side

CACHE = 8 * 2**20  # bytes of activations that a core works on without waiting for memory, about
AT_LEAST = 64  # smaller passes spend their time on overhead, the more so as images are fooled and leave
R = TypeVar("R")


class Batches:
    """Splits the work on images (N,C,H,W) by one model.

    Attributes:
        size: images at once.
        workers: batches side by side; one for a model that answers differently each time, for it draws from a
            generator that the others would disturb.
    """

    def __init__(self, model: nn.Module, images: Tensor, most: int, workers: int | None = None):
        """Look at the model once.

        Raises:
            ValueError: if ``workers`` or ``most``, the images that a pass may take at once, is below 1.
        """
        if most < 1:
            raise ValueError(f"batch_size is {most}, but it must be 1 or more.")
        self.most, self.inline = most, images.is_cuda
        self.workers = pick_workers(workers, images.device)
        if self.workers > 1 and not _steady(model, images[:FEWEST]):
            self.workers = 1
        self.size = images_at_once(model, images, most)

    def work(
        self, work: Callable[[Tensor], R], rows: Tensor, stop: Callable[[], None], alone: bool = False
    ) -> Iterator[R]:
        """Yield what ``work`` makes of batches of ``rows`` (n,), in order; see ``side_by_side``.

        Args:
            work: takes the rows of a batch.
            rows: the numbers of the images.
            stop: makes the other batches end early.
            alone: one batch after the other, each on all cores, as on a GPU.
        """
        if len(rows) == 0:
            return iter(())
        if self.inline or alone:
            return map(work, rows.split(self.most))
        return side_by_side(work, portions(rows, self.size, self.workers, FEWEST), self.workers, stop)


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
    each = max(1, sum(kept.values()) // max(1, len(some)))
    return min(most, max(AT_LEAST, CACHE // each))


def _steady(model: nn.Module, images: Tensor) -> bool:
    with torch.no_grad():
        return bool(model(images).equal(model(images)))
