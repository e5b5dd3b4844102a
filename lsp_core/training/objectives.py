"""Training objectives: which examples are crafted, and what is minimised on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.attacks.losses import kl


class Objective(Protocol):
    """One way to train; the structure term is added to it by the training loop."""

    needs_clean: ClassVar[bool]
    crafts: ClassVar[bool]

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return adversarial examples of the batch, if the objective crafts any."""

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the scalar to minimise from the logits (N,K) that it needs."""


@dataclass(frozen=True)
class Standard:
    """Cross-entropy on the images as they are."""

    smoothing: float = 0.0
    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = False

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return the images: nothing is crafted."""
        return images

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the clean logits."""
        assert clean is not None
        return functional.cross_entropy(clean, labels, label_smoothing=self.smoothing)


def _crafted(model: nn.Module, images: Tensor, labels: Tensor, attack: PGD) -> Tensor:
    """Attack in evaluation mode, so that crafting moves no batch statistics; leave the model in training mode."""
    model.eval()
    adversarial = attack(model, images, labels)
    model.train()
    return adversarial


@dataclass(frozen=True)
class PGDAT:
    """Adversarial training with PGD (Madry et al. 2018): cross-entropy on adversarial examples only.

    They are crafted with the model in evaluation mode, from a random start, with all steps taken.
    """

    steps: int
    smoothing: float = 0.0
    needs_clean: ClassVar[bool] = False
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps``; the model is left in training mode."""
        return _crafted(model, images, labels, PGD(eps, steps=self.steps, early_stop=False, seed=seed))

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy of the adversarial logits."""
        assert adversarial is not None
        return functional.cross_entropy(adversarial, labels, label_smoothing=self.smoothing)


@dataclass(frozen=True)
class FastAT(PGDAT):
    """Adversarial training with one long step from a random start (Wong et al. 2020).

    It can collapse within an epoch: the held-out PGD accuracy, by which the best epoch is chosen, then shows it.
    """

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return examples of one step of 1.25 ``eps``; the model is left in training mode."""
        return _crafted(model, images, labels, PGD(eps, 1.25 * eps, steps=1, early_stop=False, seed=seed))


@dataclass(frozen=True)
class TRADES:
    """Cross-entropy on the images, and their predictions' divergence under attack (Zhang et al. 2019, equation 5).

    Examples maximise that divergence from a uniform start in the ball; the paper's code starts closer to the image.

    Attributes:
        beta: weight of the divergence (the paper's 1/lambda).
    """

    steps: int
    smoothing: float = 0.0
    beta: float = 6.0
    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps`` on KL; the model is left in training mode."""
        return _crafted(model, images, labels, PGD(eps, steps=self.steps, loss="kl", early_stop=False, seed=seed))

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the cross-entropy plus ``beta`` times the mean divergence; the gradient flows through both sides."""
        assert clean is not None
        assert adversarial is not None
        error = functional.cross_entropy(clean, labels, label_smoothing=self.smoothing)
        return error + self.beta * kl(adversarial, clean).mean()


@dataclass(frozen=True)
class MART:
    """Adversarial training that minds most the images which the model is unsure of (Wang et al. 2020, equation 13).

    Attributes:
        beta: weight of the divergence (the paper's lambda).
    """

    steps: int
    smoothing: float = 0.0
    beta: float = 5.0
    needs_clean: ClassVar[bool] = True
    crafts: ClassVar[bool] = True

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor, eps: float, seed: int) -> Tensor:
        """Return PGD examples of radius ``eps``; the model is left in training mode."""
        return _crafted(model, images, labels, PGD(eps, steps=self.steps, early_stop=False, seed=seed))

    def loss(self, clean: Tensor | None, adversarial: Tensor | None, labels: Tensor) -> Tensor:
        """Return the boosted cross-entropy plus ``beta`` times the mean of KL * (1 - p_y of the clean image)."""
        assert clean is not None
        assert adversarial is not None
        rival = adversarial.softmax(1).scatter(1, labels[:, None], 0.0).amax(1)
        error = functional.cross_entropy(adversarial, labels, label_smoothing=self.smoothing)
        boosted = error - (1.0001 - rival).log().mean()
        doubt = 1 - clean.softmax(1).gather(1, labels[:, None]).squeeze(1)
        return boosted + self.beta * (kl(adversarial, clean) * doubt).mean()


# From the PGD steps and the label smoothing to the objective.
OBJECTIVES: dict[str, Callable[[int, float], Objective]] = {
    "standard": lambda steps, smoothing: Standard(smoothing),
    "pgd-at": PGDAT,
    "trades": TRADES,
    "mart": MART,
    "fast-at": FastAT,
}
