"""Write a file so that a reader finds the old one or the new one, never half of it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsp_core.types import Record


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written to it takes the place of ``path`` if no error occurs."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())  # else a power cut can leave the new name with no content
        partial.chmod(0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, record: Record) -> None:
    """Write JSON; a reader finds the old file or the new one, never half of it."""
    text = json.dumps(record, indent=1) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
