"""Probes whose attacks never took place: what each did is told."""

import torch
from conftest import RowByRow, random_batch

from lsp_core.attacks import Square, Transfer
from lsp_core.audit.arsenal import QUICK
from lsp_core.audit.attempt import Attempt
from lsp_core.audit.probe import Probe

N = 100


def attempt(fooled, missed=(), steps=1, margins=None, restarts=None):
    """An attempt that fools the images ``fooled`` at its end; those in ``missed`` only on the way."""
    wrong = torch.zeros(steps + 1, N, dtype=torch.bool)
    wrong[-1, list(fooled)] = True
    if missed:
        wrong[-2, list(missed)] = True
    survived = torch.ones(N, dtype=torch.bool)
    survived[list(fooled)] = False
    margins = torch.zeros(steps + 1, N) if margins is None else margins
    return Attempt(survived, wrong, margins, torch.zeros(steps + 1) if restarts is None else restarts)


class Fabricated(Probe):
    """A probe whose every attempt is told, as pairs of a test of the attack and what it did.

    ``found`` is how many images Square and transfer find among those that were left.
    """

    def __init__(self, *told, default=None, found=0, **given):
        images, labels = torch.full((N, 1, 4, 4), 0.5), torch.zeros(N, dtype=torch.int64)
        right = torch.nn.functional.one_hot(labels, 10).float()
        super().__init__(Answers(right), images, labels, 0.1, "Linf", form=QUICK, batch_size=N)
        self.logits = torch.randn(N, 10)
        self.told, self.default, self.found = told, default or attempt(()), found
        for name, value in given.items():
            setattr(self, name, value)

    def run(self, attack):
        return next((done for test, done in self.told if test(attack)), self.default)

    def _attempt(self, attack, rows):
        done = self.run(attack)
        return Attempt(done.survived[rows], done.fooled[:, rows], done.margins[:, rows], done.restarts)

    def left_of(self, rows, attack):
        left = rows & self.run(attack).survived
        if isinstance(attack, Square | Transfer):
            left[: self.found] = False
        return left


def small(seed=0):
    """A small model that is right on all of 60 images: few survive at eps 0.1, none at 0.3; no product of matrices."""
    model = RowByRow(seed).eval()
    return (model, *random_batch(model, 60))


class Answers(torch.nn.Module):
    """Gives the same logits, whatever the images."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.training = logits, False

    def forward(self, images):
        return self.logits[: len(images)] + 0 * images.flatten(1).sum(1, keepdim=True)
