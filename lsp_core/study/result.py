"""What is known of a run so far: one JSON file, complete or not.

It holds ``schema``, ``id``, ``dataset``, ``model``, ``objective``, ``variant``, ``seed``, ``config`` (a whole
``TrainConfig``), ``machine`` (of the training), ``weights`` (the ``weights_sha256`` of the best epoch's checkpoint;
older files have the ``sha256`` of that file) and, as they are measured:

* ``training``: ``epoch`` (the best, from 1), ``epochs``, ``seconds_per_epoch`` (median), ``held_out``, as on the card;
* ``evaluations``: entries as in ``lsp_core.evaluation.records``, each with its attack's ``name`` in the preset;
* ``last``: an entry of the last epoch's checkpoint under the first attack; ``curve``: entries of PGD at several radii;
* ``preservation``: see there; ``directions``: the same at unit length.

What was measured on another machine than that of the training has a ``machine`` of its own.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from lsp_core.lsp.lsp import LSP
from lsp_core.store.checkpoint import checkpoint_weights
from lsp_core.store.files import sha256, write_json
from lsp_core.study.preset import Run
from lsp_core.training.recipes import TrainConfig
from lsp_core.types import Record

SCHEMA = "lsp-lab/run/1"
MEASURED = ("evaluations", "last", "curve", "preservation", "directions")
ENTRY = {"settings": dict, "n": int, "clean_accuracy": float, "robust_accuracy": float}  # what is read of one here
AGAIN = "remove it, and it is made again"


@dataclass(frozen=True)
class Result:
    """The file of one run."""

    path: Path

    @classmethod
    def of(cls, run: Run, folder: Path) -> Result:
        """Return the result of a run of a preset whose results lie in ``folder``."""
        return cls(folder / f"{run.id}.json")

    def read(self) -> Record:
        """Return what is there, {} if nothing is.

        Raises:
            ValueError: if the file is no result of a run.
        """
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"{self.path} cannot be read ({error}): {AGAIN}.") from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise ValueError(f"{self.path} is no {SCHEMA} file: {AGAIN}.")
        return found

    def begin(self, run: Run, config: TrainConfig, machine: Record) -> Record:
        """Return what is there of this very training, or begin anew.

        Raises:
            ValueError: if the file is damaged, or of a run with other settings; hours of work are not thrown away
                unasked.
        """
        identity = {"dataset": run.dataset, "model": config.model, "objective": run.objective, "variant": run.variant}
        head = {"schema": SCHEMA, "id": run.id, **identity, "seed": run.seed}
        if not (found := self.read()):
            return {**head, "config": json.loads(json.dumps(config.to_record())), "machine": machine}
        try:
            lsp = found["config"]["lsp"]
            # Fields that were added since have had their defaults then, too.
            before = TrainConfig(**{**found["config"], "lsp": LSP(**lsp) if lsp else None})
            _check(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{self.path} is damaged ({type(error).__name__} {error}): {AGAIN}.") from error
        if before != config:
            raise ValueError(
                f"{self.path} was made with other settings than {run.id} has now: remove the file to run it again."
            )
        return {**found, **head}

    def trained(self, record: Record, checkpoint: Path, training: Record, machine: Record) -> Record:
        """Return a record with its training: the one that it has if that gave the same weights.

        Raises:
            ValueError: if figures of other weights are there; they are neither mixed nor thrown away.
        """
        weights = checkpoint_weights(checkpoint)
        same = record["weights"] == weights if "weights" in record else record.get("sha256") == sha256(checkpoint)
        measured = {part: record[part] for part in MEASURED if record.get(part)}
        if same:
            training, machine = record.get("training", training), record["machine"]
        elif measured:
            raise ValueError(
                f"{self.path} holds figures of other weights than {checkpoint} has (another machine or library version "
                "trains others): remove it to measure them anew."
            )
        head = {key: value for key, value in record.items() if key not in ("sha256", "weights", "training", *MEASURED)}
        return {**head, "machine": machine, "weights": weights, "training": training, **measured}

    def write(self, record: Record) -> None:
        """Write what is known; a reader finds the old file or the new one."""
        write_json(self.path, record)


def _check(record: Record) -> None:
    """Look at all that a study reads of its own files.

    Raises:
        KeyError, TypeError: if something is not there, or is something else.
    """
    named, last = record.get("evaluations", []), [record["last"]] if "last" in record else []
    kept = [record[part] for part in ("preservation", "directions") if part in record]
    wanted: list[tuple[list[Record], Record]] = [
        ([record], {"machine": dict, **({"training": dict} if "training" in record else {})}),
        (named, {"name": str}),
        ([*named, *record.get("curve", []), *last], ENTRY),
        (kept, {"n": int}),
    ]
    for tables, kinds in wanted:
        for table, (key, kind) in itertools.product(tables, kinds.items()):
            if not isinstance(table[key], kind):
                raise TypeError(f"{key} is no {kind.__name__}")
