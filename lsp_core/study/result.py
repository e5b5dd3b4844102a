"""What is known of a run so far: one JSON file, complete or not.

It holds ``schema``, ``id``, ``dataset``, ``model``, ``objective``, ``variant``, ``seed``, ``config`` (a whole
``TrainConfig``), ``machine``, ``sha256`` (of the best epoch's checkpoint) and, as they are measured:

* ``training``: ``epoch`` (the best, from 1), ``epochs``, ``seconds_per_epoch`` (median), ``held_out``, as on the card;
* ``evaluations``: entries as in ``lsp_core.records``, each with the ``name`` that the preset gives the attack;
* ``last``: an entry of the last epoch's checkpoint under the first attack; ``curve``: entries of PGD at several radii;
* ``preservation``: see there; ``directions``: the same at unit length.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lsp_core.lsp import LSP
from lsp_core.recipes import TrainConfig
from lsp_core.records import write_json
from lsp_core.study.preset import Run
from lsp_core.types import Record

SCHEMA = "lsp-lab/run/1"
HEAD = ("schema", "id", "dataset", "model", "objective", "variant", "seed", "config", "machine")


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
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path} cannot be read ({error}): remove it, and it is made again.") from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise ValueError(f"{self.path} is no {SCHEMA} file: remove it, and it is made again.")
        return found

    def begin(self, run: Run, config: TrainConfig, machine: Record) -> Record:
        """Return what is there of this very training, or begin anew.

        Raises:
            ValueError: if the file is of a run with other settings; hours of work are not thrown away unasked.
        """
        found = self.read()
        if found:
            # Fields that were added since have had their defaults then, too.
            lsp = found["config"]["lsp"]
            if TrainConfig(**{**found["config"], "lsp": LSP(**lsp) if lsp else None}) != config:
                raise ValueError(
                    f"{self.path} was made with other settings than {run.id} has now: remove the file to run it again."
                )
            return found
        identity = {"dataset": run.dataset, "model": config.model, "objective": run.objective, "variant": run.variant}
        head = {"schema": SCHEMA, "id": run.id, **identity, "seed": run.seed}
        return {**head, "config": json.loads(json.dumps(config.to_record())), "machine": machine}

    def head(self, record: Record) -> Record:
        """Return what a record says of the run before anything was measured."""
        return {key: value for key, value in record.items() if key in HEAD}

    def write(self, record: Record) -> None:
        """Write what is known; a reader finds the old file or the new one."""
        write_json(self.path, record)


def missing(record: Record, run: Run) -> list[str]:
    """Return the parts of a run that are still to be done, attacks by their names.

    >>> run = Run("digits", "standard", "LSP", 0, {}, ("pgd", "fast"), 100)
    >>> missing({"training": {}, "evaluations": [{"name": "pgd"}], "curve": []}, run)
    ['fast', 'last', 'preservation', 'directions']
    """
    there = {entry["name"] for entry in record.get("evaluations", ())}
    attacks = [name for name in run.attacks if name not in there]
    training = [] if "training" in record else ["training"]
    return training + attacks + [part for part in ("last", "curve", "preservation", "directions") if part not in record]
