"""Training: one loop for every objective, with or without LSP."""

from lsp_core.training.config import TrainConfig
from lsp_core.training.log import EpochLog
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.training.recipes import recipe
from lsp_core.training.trainer import OnBatch, OnEpoch, Trainer

__all__ = ["OBJECTIVES", "EpochLog", "OnBatch", "OnEpoch", "TrainConfig", "Trainer", "recipe"]
