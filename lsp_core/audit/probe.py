"""The attacks that an audit runs, each once: several checks look at the same run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks import APGD, FGSM, PGD
from lsp_core.attacks.losses import margin
from lsp_core.attacks.norms import NORMS
from lsp_core.evaluation import predict
from lsp_core.types import Attack, Norm, Step

UNROUNDED = 1e-6  # a float32 pixel may pass eps by this much


class LeftOut(Exception):
    """A check that cannot be computed; the message is the reason."""


@dataclass(frozen=True)
class Plan:
    """How much of everything: the quick form is for two CPU cores and a small network, the full one for evidence."""

    name: str
    steps: int  # of an ordinary PGD run
    marks: tuple[int, ...]  # steps of the long run at which the accuracy is read
    restarts: tuple[int, ...]
    restart_steps: int
    unbounded_steps: int
    targets: int
    target_steps: int
    queries: int
    draws: int
    radii: int  # between eps and the radius that holds a grey image


QUICK = Plan("quick", 20, (15, 30, 60), (1, 3, 5), 10, 100, 3, 15, 500, 50, 2)
FULL = Plan("full", 50, (10, 20, 50, 100), (1, 5, 10), 20, 100, 9, 50, 5000, 100, 5)


@dataclass(frozen=True)
class Run:
    """One attack on all M images that the model gets right.

    Attributes:
        survived: (M,) bool; the image that came back is still classified right when the model is asked once more.
        fooled: (T,M) bool, of every iterate that the attack showed.
        margins: (T,M) best other logit minus the label's, of every iterate.
        restarts: (T,) the restart that each iterate belongs to.
        excess: the furthest that an image moved beyond eps, in the units of the norm, or left [0,1]; below 0 if none.
    """

    survived: Tensor
    fooled: Tensor
    margins: Tensor
    restarts: Tensor
    excess: float = 0.0

    @property
    def correct(self) -> int:
        """The number of images that are still right."""
        return int(self.survived.sum())

    def within(self, restarts: int) -> int:
        """Return how many images the first ``restarts`` restarts left right at every iterate."""
        return int((~self.fooled[self.restarts < restarts].any(0)).sum())

    def after(self, steps: int) -> int:
        """Return how many images were right at every iterate up to ``steps`` (of a run without restarts)."""
        return int((~self.fooled[: steps + 1].any(0)).sum())


class Probe:
    """A model, the images (M,C,H,W) of ``n`` that it gets right, and the runs so far.

    Attributes:
        connected: whether a gradient reaches the pixels at all. If none does, attacks see a zero gradient instead.
        tick: called at every iterate of every attack; what it raises ends the audit.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        eps: float,
        norm: Norm = "Linf",
        *,
        plan: Plan = QUICK,
        twin: nn.Module | None = None,
        seed: int = 0,
        batch_size: int = 256,
        tick: Callable[[], None] = lambda: None,
        only_right: bool = True,
    ):
        self.eps, self.norm, self.plan, self.twin, self.seed, self.tick = eps, norm, plan, twin, seed, tick
        self.original, self.batch_size, self.n = model, batch_size, len(images)
        logits = predict(model, images, batch_size)
        right = logits.argmax(1) == labels
        right |= not only_right
        self.images, self.labels, self.logits, self.classes = (
            images[right],
            labels[right],
            logits[right],
            logits.shape[1],
        )
        self.connected = _reaches_pixels(model, images[:1])
        self.model = model if self.connected else _Disconnected(model).eval()
        self.runs: dict[Attack, Run] = {}

    def predict(self, images: Tensor) -> Tensor:
        """Return logits (N,K), batch by batch."""
        return predict(self.model, images, self.batch_size)

    def run(self, attack: Attack) -> Run:
        """Run an attack on all images, or return what it did when it was last asked for."""
        if attack not in self.runs:
            self.runs[attack] = self._run(attack, self.images, self.labels)
        return self.runs[attack]

    def found_among(self, rows: Tensor, attack: Attack) -> int:
        """Return how many of the images marked in ``rows`` (M,) an attack fools."""
        if not rows.any():
            return 0
        return int((~self._run(attack, self.images[rows], self.labels[rows]).survived).sum())

    def _run(self, attack: Attack, images: Tensor, labels: Tensor) -> Run:
        parts = [
            self._batch(attack, images[rows], labels[rows])
            for rows in torch.arange(len(images), device=images.device).split(self.batch_size)
        ]
        # A batch whose examples are all fooled ends early, and stays as it is.
        longest = max(len(part.margins) for part in parts)
        restarts = max((part.restarts for part in parts), key=len)
        return Run(
            torch.cat([part.survived for part in parts]),
            torch.cat([_stretch(part.fooled, longest) for part in parts], 1),
            torch.cat([_stretch(part.margins, longest) for part in parts], 1),
            restarts,
            max(part.excess for part in parts),
        )

    def _batch(self, attack: Attack, images: Tensor, labels: Tensor) -> Run:
        fooled: list[Tensor] = []
        margins: list[Tensor] = []
        restarts: list[int] = []

        def record(step: Step) -> None:
            self.tick()
            fooled.append(step.logits.argmax(1) != labels)
            margins.append(margin(step.logits, labels))
            restarts.append(step.restart)

        found = attack(self.model, images, labels, on_step=record)
        moved = float((NORMS[attack.norm].size(found - images) - attack.eps * (1 + 1e-5)).amax())
        outside = max(float(-found.amin()), float(found.amax()) - 1)
        survived = self.predict(found).argmax(1) == labels
        return Run(survived, torch.stack(fooled), torch.stack(margins), torch.tensor(restarts), max(moved, outside))

    # --- the attacks ---

    def fgsm(self) -> FGSM:
        """Return the single step."""
        return FGSM(self.eps, self.norm)

    def pgd(self, loss: str = "ce", eps: float | None = None, alpha: float | None = None) -> PGD:
        """Return an ordinary PGD run, which is what most papers quote."""
        radius = self.eps if eps is None else eps
        return PGD(radius, alpha, self.plan.steps, self.norm, loss, seed=self.seed)

    def long(self) -> PGD:
        """Return the run whose every step is looked at: a fixed step size, and nothing leaves early."""
        return PGD(self.eps, self.eps / 4, self.plan.marks[-1], self.norm, early_stop=False, seed=self.seed)

    def restarted(self) -> PGD:
        """Return the run with restarts; it climbs the margin, so that a saturated loss does not hide what they add."""
        plan = self.plan
        return PGD(self.eps, None, plan.restart_steps, self.norm, "margin", plan.restarts[-1], seed=self.seed)

    def steps_of_size(self) -> dict[str, PGD]:
        """Return PGD runs that differ in step size alone."""
        shares = {"eps/10": 10, "eps/4": 4, "eps/2": 2, "eps": 1}
        return {name: self.pgd(alpha=self.eps / part) for name, part in shares.items()}

    def untargeted(self) -> dict[str, PGD]:
        """Return PGD runs that differ in their loss alone."""
        return {loss: self.pgd(loss) for loss in (("ce", "margin", "dlr") if self.classes >= 3 else ("ce", "margin"))}

    def towards_classes(self) -> APGD:
        """Return APGD towards the likeliest wrong classes in turn."""
        loss = "dlr" if self.classes >= 4 else "margin"  # the targeted dlr needs four classes
        plan = self.plan
        return APGD(self.eps, plan.target_steps, self.norm, loss, targets=plan.targets, seed=self.seed)

    def line_up(self) -> dict[str, Attack]:
        """Return the attacks whose worst case a figure should quote: they differ in loss, in steps and in aim."""
        return {
            **{f"PGD-{self.plan.steps} {loss}": attack for loss, attack in self.untargeted().items()},
            f"PGD-{self.plan.marks[-1]}": self.long(),
            f"APGD-T-{self.plan.target_steps}": self.towards_classes(),
        }

    def white_box(self) -> dict[str, Attack]:
        """Return every attack at eps that uses the model's own gradient."""
        return {
            "FGSM": self.fgsm(),
            **self.line_up(),
            **{f"PGD-{self.plan.steps} alpha {name}": attack for name, attack in self.steps_of_size().items()},
            f"PGD-{self.plan.restart_steps}x{self.plan.restarts[-1]} margin": self.restarted(),
        }

    def surviving(self, attacks: dict[str, Attack]) -> Tensor:
        """Return which images (M,) survive all of some attacks, at every iterate: the worst case, per example."""
        left = torch.ones_like(self.labels, dtype=torch.bool)
        for attack in attacks.values():
            run = self.run(attack)
            left &= run.survived & ~run.fooled.any(0)
        return left

    def best(self) -> Tensor:
        """Return which images (M,) survive every white-box attack."""
        return self.surviving(self.white_box())


class _Disconnected(nn.Module):
    """A model whose logits do not depend on its input in the eyes of autograd: the gradient is zero, not an error."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images).detach().clone() + 0 * images.flatten(1).sum(1, keepdim=True)
        return logits


def _reaches_pixels(model: nn.Module, images: Tensor) -> bool:
    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        logits: Tensor = model(images)
        if not logits.requires_grad:
            return False
        return torch.autograd.grad(logits.sum(), images, allow_unused=True)[0] is not None


def _stretch(rows: Tensor, length: int) -> Tensor:
    """Repeat the last row of (T,M) until there are ``length``."""
    return torch.cat([rows, rows[-1:].expand(length - len(rows), -1)]) if len(rows) < length else rows
