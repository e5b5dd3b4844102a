"""What ``import lsp_core`` offers: its public names, each from where it lives."""

from lsp_core.audit import Check, Report, audit
from lsp_core.data import DatasetError, ImageDataset, load_dataset
from lsp_core.evaluation import Evaluation, evaluate
from lsp_core.models.outside import wrap
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
    "wrap",
]
