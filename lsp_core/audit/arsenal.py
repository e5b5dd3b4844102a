"""The attacks that an audit runs, and how much of everything it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from lsp_core.attacks import APGD, FGSM, PGD, Ensemble, Noise, Square, Transfer, fast
from lsp_core.types import Attack, Norm


@dataclass(frozen=True)
class Form:
    """How much of everything.

    Attributes:
        steps: of an ordinary PGD run.
        marks: steps of the long run at which the accuracy is read.
        restarts: numbers of restarts at which the accuracy is read.
        restart_steps: of each restart.
        unbounded_steps: of the attack without a bound.
        targets: wrong classes that the targeted attack goes for.
        target_steps: towards each of them.
        queries: of Square.
        draws: of random noise.
        radii: between eps and the radius that holds a grey image.
    """

    name: Literal["quick", "full"]
    steps: int
    marks: tuple[int, ...]
    restarts: tuple[int, ...]
    restart_steps: int
    unbounded_steps: int
    targets: int
    target_steps: int
    queries: int
    draws: int
    radii: int


QUICK = Form("quick", 20, (15, 30, 60), (1, 3, 5), 10, 100, 3, 15, 500, 50, 2)  # for two cores and a small network
FULL = Form("full", 50, (10, 20, 50, 100), (1, 5, 10), 20, 100, 9, 50, 5000, 100, 5)  # for evidence


@dataclass(frozen=True)
class Arsenal:
    """The attacks within ``eps``, by what they are for; asked again, it returns an equal one, which need not rerun."""

    eps: float
    norm: Norm
    form: Form
    classes: int
    seed: int

    def fgsm(self) -> FGSM:
        """Return the single step."""
        return FGSM(self.eps, self.norm)

    def pgd(self, loss: str = "ce", eps: float | None = None, alpha: float | None = None) -> PGD:
        """Return an ordinary PGD run, which is what most papers quote."""
        return PGD(self.eps if eps is None else eps, alpha, self.form.steps, self.norm, loss, seed=self.seed)

    def long(self) -> PGD:
        """Return the run whose every step is looked at: a fixed step size, and nothing leaves early."""
        return PGD(self.eps, self.eps / 4, self.form.marks[-1], self.norm, early_stop=False, seed=self.seed)

    def restarted(self) -> PGD:
        """Return the run with restarts; it climbs the margin, so that a saturated loss does not hide what they add."""
        form = self.form
        return PGD(self.eps, None, form.restart_steps, self.norm, "margin", form.restarts[-1], seed=self.seed)

    def steps_of_size(self) -> dict[str, PGD]:
        """Return PGD runs that differ in step size alone."""
        shares = {"eps/10": 10, "eps/4": 4, "eps/2": 2, "eps": 1}
        return {name: self.pgd(alpha=self.eps / part) for name, part in shares.items()}

    def untargeted(self) -> dict[str, PGD]:
        """Return PGD runs that differ in their loss alone."""
        return {loss: self.pgd(loss) for loss in (("ce", "margin", "dlr") if self.classes >= 3 else ("ce", "margin"))}

    def towards_classes(self) -> APGD:
        """Return APGD towards the nearest wrong classes in turn."""
        loss = "dlr" if self.classes >= 4 else "margin"  # the targeted dlr needs four classes
        return APGD(self.eps, self.form.target_steps, self.norm, loss, targets=self.form.targets, seed=self.seed)

    def line_up(self) -> tuple[Attack, ...]:
        """Return the attacks whose worst case a figure should quote: they differ in loss, in steps and in aim."""
        return *self.untargeted().values(), self.long(), self.towards_classes()

    def ordinary(self) -> tuple[Attack, ...]:
        """Return all of the above: those that use the model's own gradient on every image."""
        return self.fgsm(), *self.line_up(), *self.steps_of_size().values(), self.restarted()

    def strong(self) -> Ensemble:
        """Return the gradient attacks of the fast ensemble, for what the ordinary ones left standing.

        They start from the same points as in an evaluation with the same seed, so that an audit is not kinder than it.
        """
        whole = fast(self.eps, self.norm, self.seed)
        kept = [place for place, part in enumerate(whole.attacks) if not isinstance(part, Square)]
        return Ensemble(tuple(whole.attacks[place] for place in kept), tuple(whole.least(place) for place in kept))

    def unbounded(self, radius: float) -> PGD:
        """Return the attack with the whole cube to move in."""
        return PGD(radius, None, self.form.unbounded_steps, self.norm, "margin", seed=self.seed)

    def noise(self) -> Noise:
        """Return random draws from the ball."""
        return Noise(self.eps, self.form.draws, self.norm, seed=self.seed)

    def square(self) -> Square:
        """Return the attack that asks for outputs only."""
        return Square(self.eps, self.form.queries, self.norm, seed=self.seed)

    def transfer(self, twin: nn.Module) -> Transfer:
        """Return the attack that crafts on another model."""
        craft = PGD(self.eps, None, self.form.steps, self.norm, early_stop=False, seed=self.seed)
        return Transfer(craft, twin, "the twin")
