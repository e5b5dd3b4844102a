"""What RobustBench's model cards say of a model, under their names and in their units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lsp_core.evaluation.entry import Entry
from lsp_core.radius import show_eps
from lsp_core.store.card import Card
from lsp_core.store.schema import Stored
from lsp_core.types import Norm


@dataclass(frozen=True)
class RobustBench(Stored):
    """A model at the radius that it was trained for; accuracies are percent, as text.

    Attributes:
        eps: as RobustBench writes it, "8/255".
        clean_acc: on the most images that it was evaluated on; None if it was not.
        autoattack_acc: None until AutoAttack has been run there, on ``n_examples`` images.
    """

    name: str
    dataset: str
    architecture: str
    threat_model: Norm
    eps: str
    clean_acc: str | None
    autoattack_acc: str | None
    n_examples: int | None
    number_forward_passes: int = 1
    additional_data: bool = False

    @classmethod
    def of(cls, card: Card, entries: Iterable[Entry]) -> RobustBench:
        """Find in the entries of a checkpoint what RobustBench asks for."""
        own = [entry for entry in entries if entry.dataset == card.dataset]
        fit = [entry for entry in own if (entry.name, entry.norm, entry.eps) == ("autoattack", "Linf", card.eps)]
        widest, largest = (max(some, key=lambda entry: entry.n, default=None) for some in (own, fit))
        return cls(
            name=card.name,
            dataset=card.dataset,
            architecture=card.model,
            threat_model="Linf",
            eps=show_eps(card.eps).partition(" ")[0],
            clean_acc=f"{100 * widest.clean_accuracy:.2f}" if widest else None,
            autoattack_acc=f"{100 * largest.robust_accuracy:.2f}" if largest else None,
            n_examples=largest.n if largest else None,
        )
