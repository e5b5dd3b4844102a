"""Which weights a figure is of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import deserialize
from safetensors.torch import save
from torch import nn


def weights_sha256(source: str | Path | nn.Module) -> str:
    """Return the SHA-256 of a model's weights, or of those in a checkpoint: names, number formats, shapes and bytes.

    Nothing of a checkpoint's card counts, and a model has the digest of the checkpoint that it was loaded from.

    Raises:
        OSError: if there is no such file.
        SafetensorError: if the file is damaged.
    """
    if isinstance(source, nn.Module):
        state = {name: value.detach().cpu().contiguous().clone() for name, value in source.state_dict().items()}
        content = save(state)
    else:
        content = Path(source).read_bytes()
    digest = hashlib.sha256()
    for name, tensor in sorted(deserialize(content)):
        digest.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
        digest.update(tensor["data"])
    return digest.hexdigest()
