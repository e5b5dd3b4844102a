"""Write a file so that a reader finds the old one or the new one, never half of it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lsp_core.types import Record

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


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


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold the right to change ``path``, so that what is read and written back loses nobody else's change meanwhile.

    Where the system or the file system knows no locks, nothing is held.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")  # beside it, because ``replacing`` gives the name to another file
    file = _lock(lock)
    try:
        yield
    finally:
        if file is not None:
            lock.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that it is gone
            file.close()


def _lock(path: Path) -> IO[str] | None:
    """Wait for the lock, and return the file whose closing gives it back; None where there are no locks."""
    while fcntl is not None:
        file = open(path, "w")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # whoever held it has removed it
        except OSError:
            file.close()
            return None
        file.close()
    return None


def write_json(path: str | Path, record: Record) -> None:
    """Write JSON; a reader finds the old file or the new one, never half of it."""
    text = json.dumps(record, indent=1) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
