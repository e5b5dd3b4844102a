"""Attacks: frozen dataclasses, called as ``attack(model, images, labels)``."""

from lsp_core.attacks.apgd import APGD
from lsp_core.attacks.autoattack import AutoAttack
from lsp_core.attacks.ensemble import Ensemble
from lsp_core.attacks.fast import fast
from lsp_core.attacks.fgsm import FGSM
from lsp_core.attacks.minimal import Minimal
from lsp_core.attacks.noise import Noise
from lsp_core.attacks.pgd import PGD
from lsp_core.attacks.smallest import Smallest
from lsp_core.attacks.square import Square
from lsp_core.attacks.table import ATTACKS, parse_attack, parse_attacks
from lsp_core.attacks.transfer import Transfer

__all__ = [
    "APGD",
    "ATTACKS",
    "FGSM",
    "PGD",
    "AutoAttack",
    "Ensemble",
    "Minimal",
    "Noise",
    "Smallest",
    "Square",
    "Transfer",
    "fast",
    "parse_attack",
    "parse_attacks",
]
