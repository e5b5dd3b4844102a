"""What has become of each image so far, kept on disk so that an evaluation goes on where it was cut off."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import passes
from lsp_core.attacks.describe import settings
from lsp_core.evaluation.passes import PassCounter
from lsp_core.store.files import write_json
from lsp_core.store.weights import weights_sha256
from lsp_core.types import Attack


class Sitting:
    """The state of an evaluation between two batches.

    Attributes:
        clean: (N,) bool, which images the model gets right; the others are not attacked.
        fooled_by: (N,) the place of the attack that fooled an image, -1 if none has.
        tried: (N,) how many attacks of the sequence an image has been through.
        way: (N,) the largest share of its margin that one of them took away; see ``Ensemble.reach``.
    """

    def __init__(self, path: Path | None, fingerprint: str, clean: Tensor):
        """Go on from ``path`` if it holds the state of this very evaluation, else begin anew."""
        self.path, self.fingerprint, self.clean = path, fingerprint, clean
        self.fooled_by = torch.full(clean.shape, -1, device=clean.device)
        self.tried = torch.zeros_like(self.fooled_by)
        self.way = torch.zeros(clean.shape, dtype=torch.float64, device=clean.device)
        self.forward_passes = self.backward_passes = 0
        before = self._read() if path is not None else 0.0
        self._started = time.perf_counter() - before

    @property
    def robust(self) -> Tensor:
        """Which images (N,) are right before every attack and have not been fooled."""
        return self.clean & (self.fooled_by < 0)

    @property
    def passes(self) -> int:
        """Forward and backward passes so far."""
        return self.forward_passes + self.backward_passes

    @property
    def seconds(self) -> float:
        """Wall time over all sittings."""
        return time.perf_counter() - self._started

    def waiting(self, place: int, reach: float = 0.0) -> Tensor:
        """Return the rows that the attack at ``place`` has still to try, which want ``reach`` of their margin gone."""
        return (self.robust & (self.tried <= place) & (self.way >= reach)).nonzero().squeeze(1)

    def left(self, attacks: Sequence[Attack]) -> int:
        """Return the most passes that are still to come, if no further image is fooled."""
        waiting = (int((self.robust & (self.tried <= place)).sum()) for place in range(len(attacks)))
        return sum(passes(attack) * count for attack, count in zip(attacks, waiting, strict=True))

    def note(self, place: int, rows: Tensor, fooled: Tensor, way: Tensor, counter: PassCounter) -> None:
        """Write down what the attack at ``place`` did to a batch."""
        self.way[rows] = self.way[rows].maximum(way.double())
        self.fooled_by[rows[fooled]] = place
        self.tried[rows] = place + 1
        self.forward_passes += counter.forward_passes
        self.backward_passes += counter.backward_passes
        if self.path is not None:
            images = {key: getattr(self, key).tolist() for key in ("fooled_by", "tried", "way")}
            spent = {"forward_passes": self.forward_passes, "backward_passes": self.backward_passes}
            write_json(self.path, {"fingerprint": self.fingerprint, **images, **spent, "seconds": self.seconds})

    def close(self) -> None:
        """Remove the file: the evaluation is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _read(self) -> float:
        """Take over what the file holds, and return the seconds that it took; a file that cannot be used is ignored."""
        assert self.path is not None
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["fingerprint"] != self.fingerprint:
                return 0.0
            states = torch.tensor([found["fooled_by"], found["tried"]], device=self.clean.device)
            way = torch.tensor(found["way"], dtype=torch.float64, device=self.clean.device)
            spent = int(found["forward_passes"]), int(found["backward_passes"]), float(found["seconds"])
            if not states.shape[1:] == way.shape == self.clean.shape or states.is_floating_point():
                return 0.0
        except (OSError, ValueError, TypeError, KeyError, RuntimeError):
            return 0.0  # nothing there, or nothing that can be used: the work is done again
        (self.fooled_by, self.tried), self.way = states.unbind(), way
        self.forward_passes, self.backward_passes, seconds = spent
        return seconds


def fingerprint(model: nn.Module, images: Tensor, labels: Tensor, attack: Attack) -> str:
    """Return a digest of everything that decides the result."""
    identity = [type(attack).__name__, settings(attack), weights_sha256(model), list(images.shape)]
    digest = hashlib.sha256(json.dumps(identity).encode())
    for tensor in (images, labels):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
