"""The attacks that an audit runs, each once: several checks look at the same run."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lsp_core.attacks import APGD, FGSM, PGD, Square, fast
from lsp_core.attacks.describe import label
from lsp_core.attacks.losses import margin
from lsp_core.attacks.norms import NORMS
from lsp_core.audit.gradient import Disconnected, reaches_pixels
from lsp_core.audit.plan import QUICK, Plan
from lsp_core.audit.run import Run
from lsp_core.evaluation import predict
from lsp_core.types import Attack, Norm, Step

UNROUNDED = 1e-6  # a float32 pixel may pass eps by this much


class LeftOut(Exception):
    """A check that cannot be computed; the message is the reason."""


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
        self.images, self.labels, self.logits = images[right], labels[right], logits[right]
        self.classes = logits.shape[1]
        self.connected = reaches_pixels(model, images[:1])
        self.model = model if self.connected else Disconnected(model).eval()
        self.runs: dict[Attack, Run] = {}
        self._strongest: Tensor | None = None

    def predict(self, images: Tensor) -> Tensor:
        """Return logits (N,K), batch by batch."""
        return predict(self.model, images, self.batch_size)

    def run(self, attack: Attack) -> Run:
        """Run an attack on all images, or return what it did when it was last asked for."""
        if attack not in self.runs:
            self.runs[attack] = self._run(attack, self.images, self.labels)
        return self.runs[attack]

    def left_of(self, rows: Tensor, attack: Attack) -> Tensor:
        """Return which of the images marked in ``rows`` (M,) an attack leaves standing, at every iterate."""
        left = rows.clone()
        if rows.any():
            left[rows] = self._run(attack, self.images[rows], self.labels[rows]).unbroken
        return left

    def _run(self, attack: Attack, images: Tensor, labels: Tensor) -> Run:
        parts = [
            self._batch(attack, images[rows], labels[rows])
            for rows in torch.arange(len(images), device=images.device).split(self.batch_size)
        ]
        return Run.joined(parts)

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

    def strong(self) -> dict[str, Attack]:
        """Return the gradient attacks of the fast ensemble, for what the others left standing.

        They start from the same points as in an evaluation with the same seed, so that an audit is not kinder than it.
        """
        parts = fast(self.eps, self.norm, self.seed).attacks
        return {label(part): part for part in parts if not isinstance(part, Square)}

    def surviving(self, attacks: dict[str, Attack]) -> Tensor:
        """Return which images (M,) survive all of some attacks, at every iterate: the worst case, per example."""
        left = torch.ones_like(self.labels, dtype=torch.bool)
        for attack in attacks.values():
            left &= self.run(attack).unbroken
        return left

    def best(self) -> Tensor:
        """Return which images (M,) survive every white-box attack, and then each of the strong ones."""
        if self._strongest is None:
            left = self.surviving(self.white_box())
            for attack in self.strong().values():
                left = self.left_of(left, attack)
            self._strongest = left
        return self._strongest
