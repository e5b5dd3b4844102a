"""Which example fell to which attack, kept on disk so that an evaluation goes on where it was cut off."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lsp_core.attacks.describe import settings
from lsp_core.store.files import replacing
from lsp_core.types import Attack


@dataclass
class Ledger:
    """The state of an evaluation between two batches.

    Attributes:
        fingerprint: of the model's weights, images, labels, attacks and batch size; another one starts anew.
        fooled_by: (N) for every example the place of the attack that fooled it, or -1.
        attack: the place of the attack that is running.
        batches: how many of its batches are done.
    """

    fingerprint: str
    fooled_by: list[int]
    attack: int = 0
    batches: int = 0
    forward_passes: int = 0
    backward_passes: int = 0
    seconds: float = 0.0

    @classmethod
    def open(cls, path: Path | None, fingerprint: str, n: int) -> Ledger:
        """Read the state at ``path`` if it is one of this very evaluation, else begin a new one."""
        try:
            found = json.loads(path.read_text(encoding="utf-8")) if path else None
            state = cls(**found) if isinstance(found, dict) else None
        except (OSError, ValueError, TypeError):
            state = None  # nothing there, or nothing that can be used: the work is done again
        return state if state is not None and state.fingerprint == fingerprint else cls(fingerprint, [-1] * n)

    def save(self, path: Path | None) -> None:
        """Write the state; a reader finds the old one or the new one."""
        if path is not None:
            with replacing(path) as partial:
                partial.write_text(json.dumps(asdict(self)), encoding="utf-8")


def fingerprint(model: nn.Module, images: Tensor, labels: Tensor, attack: Attack, batch_size: int) -> str:
    """Return a digest of everything that decides the result."""
    digest = hashlib.sha256(json.dumps([settings(attack), type(attack).__name__, batch_size]).encode())
    state = model.state_dict()
    for tensor in (images, labels, *(state[key] for key in sorted(state))):
        if isinstance(tensor, Tensor):
            plain = tensor.detach().to("cpu", torch.float64 if tensor.is_floating_point() else None).contiguous()
            digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode() + plain.numpy().tobytes())
    return digest.hexdigest()
