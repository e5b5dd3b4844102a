"""What a model gets right before and after attacks, with intervals, and the files that keep it."""

from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.evaluation import Evaluation, evaluate, predict

__all__ = ["Entry", "Evaluation", "evaluate", "predict"]
