"""The evaluations of a checkpoint as JSON, beside it as ``NAME.json``.

A file holds ``schema``, ``checkpoint`` (its name), ``sha256`` (of the weights file) and ``evaluations``, a list with
one entry per attack and eps: ``dataset``, ``split``, ``attack``, ``norm``, ``eps`` (pixel units), ``settings`` (every
field of the attack), ``n``, ``seed`` (of the choice of images), ``clean_accuracy`` and ``robust_accuracy`` (fractions)
with their Wilson 95 % ``…_interval``, ``seconds``, ``device``, ``versions`` and ``date``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lsp_core.files import replacing
from lsp_core.types import Record

SCHEMA = "lsp-lab/evaluations/1"


class RecordError(ValueError):
    """A JSON file that holds no evaluations of the checkpoint; the message is one sentence."""


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_records(path: str | Path) -> Record:
    """Read an evaluations file.

    Raises:
        RecordError: if it is no such file.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA or not isinstance(found["evaluations"], list):
            raise RecordError(f"{path} has another schema than {SCHEMA}.")
        for entry in found["evaluations"]:
            (low, high), (clean_low, clean_high) = entry["robust_interval"], entry["clean_interval"]
            float(entry["eps"]), float(entry["robust_accuracy"]), float(entry["clean_accuracy"]), int(entry["n"])
            (
                float(low),
                float(high),
                float(clean_low),
                float(clean_high),
                str(entry["attack"]),
                str(entry["norm"]),
                str(entry["dataset"]),
            )
    except RecordError:
        raise
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RecordError(f"{path} is no evaluations file: {type(error).__name__}.") from error
    return dict(found)


def write_records(path: str | Path, checkpoint: str, digest: str, entries: list[Record]) -> None:
    """Add entries to an evaluations file; an earlier entry of the same attack, images and settings gives way.

    Entries of other weights (another ``sha256``) are dropped: they say nothing about these.
    """
    before: Record = read_records(path) if Path(path).exists() else {}
    kept: list[Record] = before["evaluations"] if before.get("sha256") == digest else []
    fresh = {_key(entry) for entry in entries}
    merged = [entry for entry in kept if _key(entry) not in fresh] + entries
    merged.sort(key=lambda entry: (entry["dataset"], entry["norm"], entry["attack"], entry["eps"]))
    record = {"schema": SCHEMA, "checkpoint": checkpoint, "sha256": digest, "evaluations": merged}
    write_json(path, record)


def write_json(path: str | Path, record: Record) -> None:
    """Write JSON; a reader finds the old file or the new one, never half of it."""
    text = json.dumps(record, indent=1) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _key(entry: Record) -> str:
    return json.dumps([entry.get(field) for field in ("dataset", "split", "attack", "norm", "settings", "n", "seed")])
