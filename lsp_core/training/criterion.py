"""What one optimiser step minimises: the objective's loss on the batches that it needs, and the structure term."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsp_core.lsp import LSP, NONE
from lsp_core.training.config import TrainConfig
from lsp_core.training.objectives import Objective
from lsp_core.types import Classifier


@dataclass(frozen=True)
class Criterion:
    """The loss of a batch.

    Attributes:
        model: in training mode, and still so after each call.
        generator: the random stream that the seeds of crafted examples come from.
        noise: the random stream that the points of LSP's noise ball come from.
    """

    model: Classifier
    objective: Objective
    config: TrainConfig
    generator: torch.Generator
    noise: torch.Generator

    def __call__(self, images: Tensor, labels: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Return the loss to minimise and the (unweighted) structure term in it, 0 without LSP: two scalars.

        Args:
            images: (N,C,H,W) in [0,1], in random order.
            labels: (N,) class numbers.
            progress: how much of the training is done, from 0 to 1.
        """
        config, lsp = self.config, self.config.lsp
        with torch.autocast(images.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            views = self.views(images, labels, progress)
            features = self.model.features(torch.cat(list(views.values())))
            sizes = [len(view) for view in views.values()]
            outputs = self.model.head(features).float()
        logits = dict(zip(views, outputs.split(sizes), strict=True))
        loss = self.objective.loss(logits.get("clean"), logits.get("adversarial"), labels)
        if lsp is None:
            return loss, torch.zeros_like(loss)
        layer = {"features": features.float(), "logits": outputs}[lsp.layer]
        term = self._structure(lsp, images, dict(zip(views, layer.split(sizes), strict=True)))
        return loss + term * lsp.weight * min(1.0, progress / max(lsp.warmup, 1e-9)), term

    def _structure(self, lsp: LSP, images: Tensor, embedding: dict[str, Tensor]) -> Tensor:
        """Return both parts of LSP, of the embeddings of the views that went through the model.

        The neighbours' part costs no pass: it takes the whole batch as the objective has it, the images or their
        adversarial examples, which then must keep the neighbourhoods of the images.
        """
        part = slice(lsp.count(len(images)))
        term = lsp.neighbors_weight * lsp.neighbors_part(images, embedding[self._whole])
        if lsp.ball == NONE:
            return term
        return term + lsp.ball_part(images[part], embedding["clean"][part], embedding[lsp.vicinity][part])

    @property
    def _whole(self) -> str:
        return "clean" if self.objective.needs_clean else "adversarial"

    def views(self, images: Tensor, labels: Tensor, progress: float) -> dict[str, Tensor]:
        """Return the batches that go through the model, by name: "clean", "adversarial" and "noise", as needed.

        They go together, because batch norm then treats an image and its eps-ball point alike, as it will in use. So
        the statistics of a twin come from both, and those of its baseline from the one batch that it trains on.
        """
        lsp, views = self.config.lsp, {}
        ball = lsp is not None and lsp.ball != NONE
        part = images[: lsp.count(len(images))] if lsp is not None else images[:0]
        if self.objective.needs_clean or ball:
            views["clean"] = images if self.objective.needs_clean else part
        if self.objective.crafts:
            eps = self.config.eps * min(1.0, progress / max(self.config.eps_warmup, 1e-9))
            seed = int(torch.randint(2**31, (1,), generator=self.generator, device=images.device))
            views["adversarial"] = self.objective.craft(self.model, images, labels, eps, seed)
        if lsp is not None and ball and lsp.vicinity == "noise":
            views["noise"] = lsp.sample(part, self.noise)
        return views
