"""One file in several parts, PATH, PATH.1, PATH.2 and so on, where a single one would be too large to carry."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from lsp_core.store.files import replacing


def part_paths(path: Path) -> Iterator[Path]:
    """Yield the paths that parts have, without end."""
    yield path
    yield from (path.with_name(f"{path.name}.{number}") for number in itertools.count(1))


def parts_of(path: Path) -> list[Path]:
    """Return the paths of the parts that there are."""
    return list(itertools.takewhile(Path.is_file, part_paths(path)))


class Parting:
    """Writes bytes to one part after the other, each of ``size`` bytes at most.

    Nothing is in place before it is left without an error. Then the first part comes last, and later ones that an
    earlier, longer file has left are removed.
    """

    def __init__(self, path: Path, size: int):
        self.path, self.size = path, size
        self._paths, self._stack = part_paths(path), contextlib.ExitStack()
        self._file: IO[bytes] | None = None
        self._count = self._room = 0

    def __enter__(self) -> Parting:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]
        for stale in parts_of(self.path)[self._count :] if error[0] is None else ():
            stale.unlink()

    def write(self, content: bytes) -> int:
        """Write all of it, and return how much that is."""
        view = memoryview(content)
        while view:
            if self._file is None or self._room == 0:
                partial = self._stack.enter_context(replacing(next(self._paths)))
                self._file = self._stack.enter_context(partial.open("wb"))
                self._room, self._count = self.size, self._count + 1
            written = self._file.write(view[: self._room])
            self._room, view = self._room - written, view[written:]
        return len(content)


class Joined:
    """Reads the parts as one."""

    def __init__(self, path: Path):
        self._paths = iter(parts_of(path))
        self._file: IO[bytes] = BytesIO()

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end of the last part."""
        while not (content := self._file.read(size)):
            self._file.close()
            self._file = path.open("rb") if (path := next(self._paths, None)) else BytesIO()
            if path is None:
                break
        return content

    def close(self) -> None:
        """Close the part that is read."""
        self._file.close()
