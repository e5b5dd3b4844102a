"""What is known of a run, read back from its file and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lsp_core.study.checked import count, fraction, number, table, tables
from lsp_core.study.machine import Machine
from lsp_core.study.preset import Preset, Run
from lsp_core.study.result import Result
from lsp_core.study.score import Score
from lsp_core.types import Record


@dataclass(frozen=True)
class Neighbors:
    """How well neighbourhoods are kept: each metric's value on clean and on attacked images, see ``preservation``."""

    k: int
    n: int
    trustworthiness: tuple[float, float]
    continuity: tuple[float, float]
    knn_overlap: tuple[float, float]
    kept: float

    @classmethod
    def of(cls, record: Record) -> Neighbors:
        """Read what ``preservation`` returns.

        Raises:
            ValueError: if it is something else.
        """
        clean, adversarial = table(record, "clean"), table(record, "adversarial")
        pairs = {
            metric: (fraction(clean, metric), fraction(adversarial, metric))
            for metric in ("trustworthiness", "continuity", "knn_overlap")
        }
        return cls(count(record, "k"), count(record, "n"), **pairs, kept=fraction(record, "kept"))


@dataclass(frozen=True)
class Outcome:
    """A run that has begun; what it has not come to yet is empty or None.

    Attributes:
        eps: its radius: the best epoch was chosen with PGD at it, adversarial training crafts at it, attacks have it.
        machine: that of the training; ``evaluated`` is that of each evaluation, in any order.
        seconds: per epoch, the median.
        epoch: the best, from 1, of ``epochs``.
        scores: by the attack's name in the preset.
        last: of the last epoch's checkpoint; ``scores`` are of the best epoch's.
        curve: PGD at several radii.
        neighbors: in the embedding; ``directions`` in the embedding at unit length.
    """

    run: Run
    eps: float
    machine: Machine
    evaluated: tuple[Machine, ...]
    seconds: float | None
    epoch: int
    epochs: int
    scores: dict[str, Score]
    last: Score | None
    curve: tuple[Score, ...]
    neighbors: Neighbors | None
    directions: Neighbors | None

    @classmethod
    def of(cls, run: Run, record: Record) -> Outcome:
        """Read what ``lsp_core.study.result`` documents.

        Raises:
            ValueError: if it is something else.
        """
        training, machine = table(record, "training"), table(record, "machine")
        evaluations, curve = tables(record, "evaluations"), tables(record, "curve")
        last, neighbors, directions = (table(record, part) for part in ("last", "preservation", "directions"))
        parts = [part for part in (*evaluations, last, *curve, neighbors, directions) if part]
        epochs = count(training, "epochs") if training else 0
        if training and count(training, "epoch") > epochs:
            raise ValueError(f"epoch is {training['epoch']}, but there were {epochs}")
        return cls(
            run=run,
            eps=number(table(record, "config"), "eps"),
            machine=Machine.of(machine),
            evaluated=tuple(Machine.of(table(part, "machine") or machine) for part in parts),
            seconds=number(training, "seconds_per_epoch") if training else None,
            epoch=count(training, "epoch") if training else 0,
            epochs=epochs,
            scores={score.name: score for score in map(Score.of, evaluations)},
            last=Score.of(last) if last else None,
            curve=tuple(map(Score.of, curve)),
            neighbors=Neighbors.of(neighbors) if neighbors else None,
            directions=Neighbors.of(directions) if directions else None,
        )


def read_outcomes(folder: Path, preset: Preset) -> dict[str, Outcome]:
    """Return by its id each run of the preset that has a file in ``folder``.

    Raises:
        ValueError: naming the first file that cannot be read.
    """
    found = {}
    for run in preset.runs():
        result = Result.of(run, folder)
        if not (record := result.read()):
            continue
        try:
            found[run.id] = Outcome.of(run, record)
        except ValueError as error:
            raise ValueError(f"{result.path} is no result of a run: {error}.") from error
    return found
