"""What is known of a run so far: one JSON file, complete or not."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from lsp_core.evaluation.entry import Entry
from lsp_core.store.provenance import Machine
from lsp_core.store.schema import SchemaError, Stored, read
from lsp_core.study.grid import Run
from lsp_core.study.preservation import Preservation
from lsp_core.training import EpochLog, TrainConfig
from lsp_core.types import Record


@dataclass(frozen=True)
class Trained(Stored):
    """How a training went.

    Attributes:
        epoch: the best, from 1, of ``epochs``.
        seconds_per_epoch: the median, with the validation.
        held_out: ``clean_accuracy`` and ``robust_accuracy`` of the best epoch, as on its card.
    """

    epoch: int
    epochs: int
    seconds_per_epoch: float
    held_out: dict[str, float]

    def __post_init__(self) -> None:
        if not 1 <= self.epoch <= self.epochs:
            raise ValueError(f"epoch is {self.epoch}, but it must be from 1 to {self.epochs}, the number of epochs.")
        if self.seconds_per_epoch < 0:
            raise ValueError(f"seconds_per_epoch is {self.seconds_per_epoch:g}, but it must be 0 or more.")

    @classmethod
    def of(cls, history: Sequence[EpochLog]) -> Trained:
        """Return how a training went that is done."""
        best = max(history, key=lambda log: log.score)
        return cls(
            epoch=best.epoch + 1,
            epochs=len(history),
            seconds_per_epoch=round(statistics.median(log.seconds for log in history), 4),
            held_out={"clean_accuracy": best.clean_accuracy, "robust_accuracy": best.robust_accuracy},
        )


@dataclass(frozen=True)
class Result(Stored):
    """A run that has begun; what it has not come to yet is None or empty.

    Attributes:
        id: of the run, and the name of the file; what follows says the same in parts.
        config: a whole ``TrainConfig``, with the precision that the passes ran in.
        machine: of the training; what was measured on another one has its own.
        weights: the ``weights_sha256`` of the best epoch's checkpoint, of which all but ``last`` is.
        evaluations: an entry for each attack.
        last: the last epoch's checkpoint under the first attack.
        curve: PGD at several radii.
        preservation: of the neighbourhoods in the embedding; ``directions`` in the embedding at unit length.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/run/2"

    id: str
    dataset: str
    model: str
    objective: str
    variant: str
    seed: int
    config: Record
    machine: Machine
    weights: str | None = None
    training: Trained | None = None
    evaluations: tuple[Entry, ...] = ()
    last: Entry | None = None
    curve: tuple[Entry, ...] = ()
    preservation: Preservation | None = None
    directions: Preservation | None = None

    def __post_init__(self) -> None:
        """Refuse a run that cannot have been.

        Raises:
            ValueError: naming the field.
        """
        TrainConfig.from_record(self.config)
        if len(self.under) < len(self.evaluations):
            raise ValueError("evaluations have two entries of one attack.")

    @property
    def eps(self) -> float:
        """The radius that was trained for, at which all but the ``curve`` was attacked."""
        return float(self.config["eps"])

    @property
    def under(self) -> dict[str, Entry]:
        """The evaluations by the name of their attack."""
        return {entry.name: entry for entry in self.evaluations}

    @property
    def measured(self) -> list[Entry | Preservation]:
        """All that was measured of the weights."""
        parts = [*self.evaluations, self.last, *self.curve, self.preservation, self.directions]
        return [part for part in parts if part is not None]

    @classmethod
    def begin(cls, run: Run, config: TrainConfig, machine: Machine) -> Result:
        """Return what is known of a run that is still to be trained."""
        head = (run.id, run.dataset, config.model, run.objective, run.variant, run.seed)
        return cls(*head, config.to_record(), machine)

    def trained(self, config: TrainConfig, training: Trained, weights: str, machine: Machine) -> Result:
        """Return this with its training: as it is, if that gave the same weights.

        Raises:
            ValueError: if something was measured of other weights; that is neither mixed nor thrown away.
        """
        if self.weights == weights and self.training is not None:
            return self
        if self.weights != weights and self.measured:
            raise ValueError(
                f"the file of {self.id} holds figures of other weights than this training gave (another machine or "
                "library version trains others): remove it to measure them anew."
            )
        return replace(self, config=config.to_record(), training=training, weights=weights, machine=machine)

    def with_entry(self, entry: Entry) -> Result:
        """Return this with an evaluation; an earlier one of the same attack gives way."""
        others = (known for known in self.evaluations if known.name != entry.name)
        return replace(self, evaluations=(*others, entry))


def result_path(run: Run, folder: Path) -> Path:
    """Return where the result of a run lies, in a folder of results."""
    return folder / f"{run.id}.json"


def read_result(run: Run, folder: Path) -> Result | None:
    """Return what is known of a run, None if nothing is.

    Raises:
        ValueError: naming the file, if it is damaged, of another format or of another run.
    """
    path = result_path(run, folder)
    if not path.exists():
        return None
    try:
        found = read(Result, path)
        if found.id != run.id:
            raise SchemaError(f"{path} is of the run {found.id}.")
    except SchemaError as error:
        raise ValueError(f"{str(error).removesuffix('.')}; remove it, and the run is made again.") from error
    return found


def read_results(runs: Iterable[Run], folder: Path) -> dict[str, Result]:
    """Return the results of those runs that have any, by the names of the runs.

    Raises:
        ValueError: as ``read_result``.
    """
    found = {run.id: read_result(run, folder) for run in runs}
    return {name: result for name, result in found.items() if result is not None}
