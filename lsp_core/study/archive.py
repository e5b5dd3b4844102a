"""A study in one file, from which it goes on elsewhere.

A tar, for what it holds are files already, and weights hardly compress. It has the result of every run, the best
checkpoint of one that is done, and of one that is not all that lies there: the states of its training and of its
evaluation are what it goes on from. Where a file may not be large it helps that it comes in parts, PATH, PATH.1, PATH.2
and so on, which are the tar when they are put together.

It may come from anywhere: only safetensors and JSON are taken, under names that files of a study have. Its first member
lists the others with their digests, so that damage, and parts of two archives, are found before anything is put in
place.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from os import utime
from pathlib import Path
from typing import ClassVar

from lsp_core.store.checkpoint import list_checkpoints
from lsp_core.store.files import sha256
from lsp_core.store.parts import Joined, Parting, parts_of
from lsp_core.store.schema import SchemaError, Stored, parse

PART = 15 * 2**20  # bytes of a part at most
LIST, LONGEST = "archive.json", 2**20  # the first member, and its bytes at most
CHECKPOINT = re.compile(r"[^.\\\0][^\\\0]*\.safetensors")
STATE = ("states", "evaluation.state")  # JSON


class ArchiveError(ValueError):
    """A file that is no archive of this study; the message is one sentence that says why."""


@dataclass(frozen=True)
class Listing(Stored):
    """What an archive holds: ``files`` with their SHA-256, by their names in it."""

    SCHEMA: ClassVar[str] = "lsp-lab/archive/1"

    files: dict[str, str]


@dataclass(frozen=True)
class Archive:
    """A study's archive, and the folders that it is made of.

    Attributes:
        path: of its first part.
        results: folder of the runs' JSON files.
        work: folder of the checkpoints, one folder a run.
    """

    path: Path
    results: Path
    work: Path

    def write(self, runs: Mapping[str, bool]) -> list[Path]:
        """Write what there is of the runs that are named, each with whether it is done, and return the parts.

        A reader finds the old archive or the new one, or sees that it has parts of both.
        """
        files = {name: path for run, done in sorted(runs.items()) for name, path in self._packed(run, done).items()}
        digests = {name: sha256(path) for name, path in files.items()}
        listing = json.dumps(Listing(digests).to_record()).encode()
        with Parting(self.path, PART) as parts, tarfile.open(fileobj=parts, mode="w|") as tar:  # type: ignore[call-overload]
            tar.addfile(_member(LIST, len(listing)), BytesIO(listing))
            for name, path in files.items():
                with open(path, "rb") as file:
                    tar.addfile(_member(name, path.stat().st_size, _time(path)), file)
        return parts_of(self.path)

    def unpack(self, runs: Collection[str]) -> set[str]:
        """Put in place what the archive holds, and return the runs that it holds something of.

        Where something of a run is there already, the later of the two stays.

        Args:
            runs: the names that may be in it.

        Raises:
            ArchiveError: if it is no archive, damaged or incomplete, or holds what is no file of these runs.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        joined = contextlib.closing(Joined(self.path))
        with tempfile.TemporaryDirectory(dir=self.work, prefix=".") as folder, joined as parts:
            try:
                with tarfile.open(fileobj=parts, mode="r|") as tar:  # type: ignore[call-overload]
                    files = self._extracted(tar, Path(folder), runs)
            except ArchiveError:
                raise
            except Exception as error:  # on hostile bytes tarfile raises whatever comes
                raise ArchiveError(f"{self.path} is no archive of a study, or it is damaged or incomplete.") from error
            held = {self._owner(name, runs) for name in files}
            for run in held:
                self._put(run, {name: file for name, file in files.items() if self._owner(name, runs) == run})
        return held

    def _packed(self, run: str, done: bool) -> dict[str, Path]:
        """Return the files of a run that go into an archive, by their names in it."""
        folder = self.work / run
        best = [f"{name}.safetensors" for name in list_checkpoints(folder)[0]]
        every = sorted(path.name for path in folder.glob("*.safetensors") if CHECKPOINT.fullmatch(path.name))
        below = best if done else [*every, "/".join(STATE)]
        names = [f"results/{run}.json", *(f"work/{run}/{name}" for name in below)]
        return {name: path for name in names if (path := self._place(name)).is_file()}

    def _extracted(self, tar: tarfile.TarFile, folder: Path, runs: Collection[str]) -> dict[str, Path]:
        """Return the members by their names, as files in ``folder`` whose digests are right."""
        files: dict[str, Path] = {}
        listing: Listing | None = None
        for number, member in enumerate(tar):
            if not member.isreg() or member.issparse():
                raise ArchiveError(f"{self.path} holds {member.name!r}, which is no plain file.")
            content = tar.extractfile(member)
            assert content is not None
            if listing is None:
                listing = parse(Listing, content.read(LONGEST).decode())
                continue
            self._owner(member.name, runs)
            path = files[member.name] = folder / str(number)
            with open(path, "wb") as file:
                shutil.copyfileobj(content, file)
            utime(path, (member.mtime, member.mtime))
        if listing is None or listing.files != {name: sha256(path) for name, path in files.items()}:
            raise SchemaError("the files are not those that are listed.")
        return files

    def _owner(self, name: str, runs: Collection[str]) -> str:
        """Return the run that a member is of; nothing else is a name that may be in an archive."""
        match name.split("/"):
            case ["results", file] if file.endswith(".json") and (run := file.removesuffix(".json")) in runs:
                return run
            case ["work", run, file] if run in runs and CHECKPOINT.fullmatch(file):
                return run
            case ["work", run, *rest] if run in runs and tuple(rest) == STATE:
                return run
        raise ArchiveError(f"{self.path} holds {name!r}, which is no file of a run of this study.")

    def _place(self, name: str) -> Path:
        top, _, rest = name.partition("/")
        return (self.results if top == "results" else self.work) / rest

    def _put(self, run: str, files: Mapping[str, Path]) -> None:
        """Let the files of a run, by their names, take the place of what there is of it, unless that is as late."""
        here = self._packed(run, done=False).values()
        if max(map(_time, here), default=-math.inf) >= max(map(_time, files.values())):
            return
        for path in here:
            path.unlink()
        for name in sorted(files, key=lambda name: _time(files[name])):  # cut off on the way, it is not as late
            self._place(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(files[name], self._place(name))


def _member(name: str, size: int, time: float = 0) -> tarfile.TarInfo:
    """Return the head of a file, with nothing in it that says whose machine this is."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, time
    return member


def _time(path: Path) -> float:
    return path.stat().st_mtime
