"""Networks that mask on purpose, and the check that the audit catches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from lsp_core.audit import detours, effort, outputs
from lsp_core.audit.probe import Look, Probe
from lsp_core.audit.report import Finding

IMAGES = 32


class Wrapped(nn.Module):
    """A model with something in front of it or behind it; in the mode that the model is in."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.training = model.training  # not train(): that would reach into the model

    def forward(self, images: Tensor) -> Tensor:
        """Return what the model returns."""
        logits: Tensor = self.model(images)
        return logits


class ScaledLogits(Wrapped):
    """Logits times a factor: the classes stay, but the cross-entropy and its gradient vanish in float32."""

    def __init__(self, model: nn.Module, factor: float = 1000.0):
        super().__init__(model)
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N,K)."""
        logits: Tensor = self.factor * self.model(images)
        return logits


class Quantized(Wrapped):
    """Pixels rounded to a few levels, whose derivative is zero everywhere."""

    def __init__(self, model: nn.Module, levels: int = 8):
        super().__init__(model)
        self.levels = levels

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N,K)."""
        logits: Tensor = self.model((images * (self.levels - 1)).round() / (self.levels - 1))
        return logits


class Thermometer(Wrapped):
    """Pixels as bits, one per level that they exceed (Buckman et al. 2018), averaged for a model that wants pixels.

    A comparison has no derivative at all, so autograd finds no path from the logits to the pixels.
    """

    def __init__(self, model: nn.Module, levels: int = 16):
        super().__init__(model)
        self.levels = levels

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N,K)."""
        steps = (torch.arange(self.levels, device=images.device, dtype=images.dtype) + 0.5) / self.levels
        pixels = sum((images > step).to(images.dtype) for step in steps.unbind())
        logits: Tensor = self.model(pixels / self.levels)
        return logits


class RandomResize(Wrapped):
    """Images shrunk by a random amount and put at a random place on black (Xie et al. 2018).

    It draws from a generator of its own, one draw a batch.
    """

    def __init__(self, model: nn.Module, smallest: float = 0.8, seed: int = 0):
        super().__init__(model)
        self.smallest = smallest
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N,K)."""
        height, width = images.shape[2:]
        share = self.smallest + (1 - self.smallest) * torch.rand((), generator=self.generator).item()
        size = (max(1, round(share * height)), max(1, round(share * width)))
        small = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        top, left = (self._below(whole - part + 1) for whole, part in zip((height, width), size, strict=True))
        logits: Tensor = self.model(functional.pad(small, (left, width - size[1] - left, top, height - size[0] - top)))
        return logits

    def _below(self, end: int) -> int:
        return int(torch.randint(end, (), generator=self.generator).item())


class SoftmaxOutputs(Wrapped):
    """Probabilities in the place of logits."""

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities (N,K)."""
        return functional.softmax(self.model(images), 1)


# Each control with the checks of which one must notice it.
CONTROLS: dict[str, tuple[Callable[[nn.Module], nn.Module], tuple[Look, ...]]] = {
    "logits x 1,000": (ScaledLogits, (effort.losses, detours.input_gradients)),
    "quantised": (Quantized, (detours.input_gradients,)),
    "random resizing": (RandomResize, (outputs.determinism,)),
    "softmax": (SoftmaxOutputs, (outputs.distribution,)),
}


def known_answers(probe: Probe) -> Finding:
    """Put each control round the model that is audited: if the checks do not notice it, they notice nothing."""
    images, labels = probe.images[:IMAGES], probe.labels[:IMAGES]
    missed = []
    for name, (wrap, looks) in CONTROLS.items():
        inner = Probe(
            wrap(probe.original),
            images,
            labels,
            probe.eps,
            probe.norm,
            form=replace(probe.form, steps=10),
            seed=probe.seed,
            batch_size=probe.batch_size,
            tick=probe.tick,
            only_right=False,
        )
        caught = any(look(inner).status != "pass" for look in looks)
        for attack, excess in inner.excess.items():
            probe.keep(attack, excess)
        if not caught:
            missed.append(name)
    noticed = len(CONTROLS) - len(missed)
    return Finding(
        "fail" if missed else "pass",
        f"{noticed} of {len(CONTROLS)} networks that mask on purpose, made from this model, are noticed"
        + (f"; not noticed: {', '.join(missed)}." if missed else f": {', '.join(CONTROLS)}."),
        "any control is not noticed: the evaluation is then invalid",
        {"controls": len(CONTROLS), "noticed": noticed},
    )
