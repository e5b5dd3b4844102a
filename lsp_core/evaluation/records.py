"""The evaluations of a checkpoint as JSON, beside it as ``NAME.json``.

A file holds ``schema``, ``checkpoint`` (its name), ``sha256`` (of the weights file), ``robustbench`` (below) and
``evaluations``, a list with one entry per attack and eps:

* ``dataset``, ``split``, ``n``, ``seed`` (of the choice of images), ``norm``, ``eps`` (pixel units);
* ``attack`` (its class), ``label`` (what people call it), ``settings`` (every field; those of the
  attacks in an ensemble nested, with their ``class``);
* ``clean_accuracy`` and ``robust_accuracy``: fractions, with their Wilson 95 % ``..._interval``;
* ``clean_correct`` and ``robust_correct``: the same per example, in the order in which ``seed`` draws them, as
  hexadecimal digits of packed bits (``numpy.unpackbits(numpy.frombuffer(bytes.fromhex(text), "uint8"))[:n]``);
* ``fooled_by``: for each attack in the sequence its ``label`` and how many examples it ``fooled``;
* ``forward_passes`` and ``backward_passes``: images that the attacks sent through the model, and gradients they took;
* ``seconds`` (wall time), ``batch_size``, ``device``, ``versions``, ``date``.

Entries that older versions wrote have no ``label``, passes or results per example. ``robustbench`` holds what
RobustBench's model cards hold, under their names and in their units (percent as text), at the radius that the
checkpoint was trained for; ``autoattack_acc`` is null until AutoAttack has been run there.
"""

from __future__ import annotations

import json
from pathlib import Path

from lsp_core.radius import show_eps
from lsp_core.store.checkpoint import Card
from lsp_core.store.files import write_json
from lsp_core.types import Record

SCHEMA = "lsp-lab/evaluations/1"


class RecordError(ValueError):
    """A JSON file that holds no evaluations of the checkpoint; the message is one sentence."""


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


def write_records(path: str | Path, card: Card, digest: str, entries: list[Record]) -> None:
    """Add entries to an evaluations file; an earlier entry of the same attack, images and settings gives way.

    Entries of other weights (another ``sha256``) are dropped: they say nothing about these.
    """
    before: Record = read_records(path) if Path(path).exists() else {}
    kept: list[Record] = before["evaluations"] if before.get("sha256") == digest else []
    fresh = {_key(entry) for entry in entries}
    merged = [entry for entry in kept if _key(entry) not in fresh] + entries
    merged.sort(key=lambda entry: (entry["dataset"], entry["norm"], entry["attack"], entry["eps"]))
    record = {"schema": SCHEMA, "checkpoint": card.name, "sha256": digest, "robustbench": _robustbench(card, merged)}
    write_json(path, {**record, "evaluations": merged})


def done(path: str | Path, digest: str, entry: Record) -> bool:
    """Whether the file holds an evaluation of these weights with the same attack, images and settings as ``entry``."""
    if not Path(path).exists():
        return False
    found = read_records(path)
    return found.get("sha256") == digest and _key(entry) in {_key(old) for old in found["evaluations"]}


def _robustbench(card: Card, entries: list[Record]) -> Record:
    eps = card.config.get("eps")
    own = [entry for entry in entries if entry["dataset"] == card.dataset]
    fit = [entry for entry in own if entry["attack"] == "AutoAttack" and (entry["norm"], entry["eps"]) == ("Linf", eps)]
    largest = max(fit, key=lambda entry: int(entry["n"]), default=None)
    widest = max(own, key=lambda entry: int(entry["n"]), default=None)
    return {
        "name": card.name,
        "dataset": card.dataset,
        "architecture": card.model,
        "threat_model": "Linf",
        "eps": show_eps(float(eps)).partition(" ")[0] if isinstance(eps, int | float) else None,
        "clean_acc": f"{100 * widest['clean_accuracy']:.2f}" if widest else None,
        "autoattack_acc": f"{100 * largest['robust_accuracy']:.2f}" if largest else None,
        "n_examples": int(largest["n"]) if largest else None,
        "number_forward_passes": 1,
        "additional_data": False,
    }


def _key(entry: Record) -> str:
    return json.dumps([entry.get(field) for field in ("dataset", "split", "attack", "norm", "settings", "n", "seed")])
