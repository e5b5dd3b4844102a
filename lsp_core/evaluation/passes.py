"""Count what an attack asks of a model."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

OnProgress = Callable[[int, int], None]


class PassCounter(nn.Module):
    """The model, counting the images that go forward through it and the gradients that come back.

    ``on_pass`` is called after every forward pass; what it raises ends the attack.
    """

    def __init__(self, model: nn.Module, on_pass: Callable[[int], None] | None = None):
        super().__init__()
        self.model, self.on_pass = model, on_pass
        self.forward_passes = self.backward_passes = 0
        self.training = False  # not by eval(), which would change the model's own layers

    @property
    def total(self) -> int:
        """Forward and backward passes so far."""
        return self.forward_passes + self.backward_passes

    def forward(self, images: Tensor) -> Tensor:
        """Return the model's logits (N,K)."""
        logits: Tensor = self.model(images)
        self.forward_passes += len(images)
        if logits.requires_grad:
            logits.register_hook(self._back)
        if self.on_pass is not None:
            self.on_pass(self.total)
        return logits

    def _back(self, gradient: Tensor) -> None:
        self.backward_passes += len(gradient)
