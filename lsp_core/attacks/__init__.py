"""Attacks: frozen dataclasses, called as ``attack(model, images, labels)``."""

from lsp_core.attacks.fgsm import FGSM
from lsp_core.attacks.pgd import PGD

ATTACKS = {"fgsm": FGSM, "pgd": PGD}

__all__ = ["ATTACKS", "FGSM", "PGD"]
