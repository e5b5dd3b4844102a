"""LSP Lab's core: train, attack and evaluate image classifiers with Local Structure Preserving regularization."""

from lsp_core.audit import Check, Report, audit
from lsp_core.data import DatasetError, ImageDataset, load_dataset
from lsp_core.evaluation import Evaluation, evaluate
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

__all__ = [
    "Card",
    "Check",
    "CheckpointError",
    "DatasetError",
    "Evaluation",
    "ImageDataset",
    "Report",
    "audit",
    "evaluate",
    "load_checkpoint",
    "load_dataset",
    "save_checkpoint",
]
