"""Fetch a data set whole or not at all: what fails leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from lsp_core.data.dataset import DatasetError, ImageDataset, Split

Load = Callable[[Path, Split, bool], ImageDataset]  # the root, the split, and whether to download what is absent
OnProgress = Callable[[int], None]  # told how many bytes there are
SPLITS: tuple[Split, ...] = ("train", "test")
ARCHIVES = ("*.gz", "*.tgz", "*.zip")
GLANCE = 0.2  # seconds between two looks at what has come


def fetch(name: str, load: Load, root: Path, on_progress: OnProgress | None = None) -> None:
    """Download both splits of a data set to a folder beside its place, try them, and move them there.

    Args:
        name: of the data set, for the sentence.
        load: how it is loaded, and downloaded where it is absent.
        root: where it is to lie; made if it is not there.
        on_progress: sees how many bytes there are, several times a second, from another thread.

    Raises:
        DatasetError: in one sentence, if it could not be downloaded or read; then all is as before.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
    except OSError as error:
        raise DatasetError(f"{name} could not be downloaded to {root}: {error.strerror}.") from error
    try:
        with _watched(place, on_progress):
            for split in SPLITS:
                load(place, split, True)
        for archive in (found for pattern in ARCHIVES for found in place.rglob(pattern)):
            archive.unlink()
        for own in place.iterdir():
            _replace(own, root / own.name)
    except DatasetError as error:
        raise DatasetError(str(error).replace(str(place), str(root))) from error
    except OSError as error:
        raise DatasetError(f"{name} could not be downloaded to {root}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _replace(own: Path, there: Path) -> None:
    """Put a folder or file in place of what is there, which is damaged or not all."""
    if there.is_dir():
        shutil.rmtree(there)
    os.replace(own, there)


@contextlib.contextmanager
def _watched(place: Path, on_progress: OnProgress | None) -> Iterator[None]:
    over = threading.Event()

    def look() -> None:
        while not over.wait(GLANCE):
            if on_progress is not None:
                on_progress(_size(place))

    thread = threading.Thread(target=look, name="fetch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _size(place: Path) -> int:
    """Return how many bytes were downloaded: what was unpacked of an archive is not counted again."""
    files = [path for path in place.rglob("*") if path.is_file()]
    archives = {path for pattern in ARCHIVES for path in place.rglob(pattern)}
    total = 0
    for path in archives or files:
        with contextlib.suppress(OSError):  # it may be moved meanwhile
            total += path.stat().st_size
    return total
