"""What is known of a run, read back from its file and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsp_core.study.preset import Preset, Run
from lsp_core.study.result import Result
from lsp_core.types import Record


@dataclass(frozen=True)
class Score:
    """One evaluation; accuracies are fractions.

    Attributes:
        name: the attack as the preset writes it; "" in ``last`` and ``curve``.
        attack: what people call it.
        interval: Wilson 95 % of ``robust``; ``clean_interval`` is that of ``clean``.
        right: (n,) whether each image was right before and under the attack.
    """

    name: str
    attack: str
    eps: float
    n: int
    clean: float
    clean_interval: tuple[float, float]
    robust: float
    interval: tuple[float, float]
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, entry: Record) -> Score:
        """Read an entry as ``lsp_core.records`` documents it.

        Raises:
            ValueError, KeyError, TypeError: if it is none, or its results per image contradict its accuracy.
        """
        name, n = str(entry.get("name", "")), int(entry["n"])
        right = np.unpackbits(np.frombuffer(bytes.fromhex(entry["robust_correct"]), np.uint8))[:n].astype(bool)
        (clean_low, clean_high), (low, high) = entry["clean_interval"], entry["robust_interval"]
        clean, robust = float(entry["clean_accuracy"]), float(entry["robust_accuracy"])
        if len(right) != n or n < 1 or not math.isclose(right.mean(), robust, abs_tol=1e-6):
            raise ValueError(f"robust_accuracy is not that of robust_correct under {entry['label']}")
        return cls(
            name=name,
            attack="fast ensemble" if name == "fast" else str(entry["label"]),
            eps=float(entry["eps"]),
            n=n,
            clean=clean,
            clean_interval=(float(clean_low), float(clean_high)),
            robust=robust,
            interval=(float(low), float(high)),
            right=right,
        )


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
        """Read what ``preservation`` returns."""
        pairs = {
            metric: (float(record["clean"][metric]), float(record["adversarial"][metric]))
            for metric in ("trustworthiness", "continuity", "knn_overlap")
        }
        return cls(int(record["k"]), int(record["n"]), **pairs, kept=float(record["kept"]))


@dataclass(frozen=True)
class Outcome:
    """A run that has begun; what it has not come to yet is empty or None.

    Attributes:
        eps: the radius that it was trained for.
        machine: what ``lsp_core.provenance`` says of it.
        seconds: per epoch, the median.
        epoch: the best, from 1, of ``epochs``.
        scores: by the attack's name in the preset.
        last: of the last epoch's checkpoint; ``scores`` are of the best epoch's.
        curve: PGD at several radii.
        neighbors: in the embedding; ``directions`` in the embedding at unit length.
    """

    run: Run
    eps: float
    machine: Record
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
        """Read what ``lsp_core.study.result`` documents."""
        training = record.get("training") or {}
        scores = [Score.of(entry) for entry in record.get("evaluations") or ()]
        return cls(
            run=run,
            eps=float(record["config"]["eps"]),
            machine=dict(record["machine"]),
            seconds=float(training["seconds_per_epoch"]) if training else None,
            epoch=int(training.get("epoch", 0)),
            epochs=int(training.get("epochs", 0)),
            scores={score.name: score for score in scores},
            last=Score.of(record["last"]) if record.get("last") else None,
            curve=tuple(Score.of(entry) for entry in record.get("curve") or ()),
            neighbors=Neighbors.of(record["preservation"]) if record.get("preservation") else None,
            directions=Neighbors.of(record["directions"]) if record.get("directions") else None,
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
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{result.path} is no result of a run: {type(error).__name__} {error}.") from error
    return found
