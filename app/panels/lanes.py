"""What the two models of a job are called."""

from __future__ import annotations

from app.state.jobs import Job
from lsp_core.training.twins import are_twins


def lane_names(job: Job) -> tuple[str, str]:
    """Return what both lanes are called: "Baseline" and "LSP" for twins, else the names of the checkpoints."""
    first, second = (model.card for model in job.request.models)
    if are_twins(first, second):
        return ("Baseline", "LSP") if first.lsp is None else ("LSP", "Baseline")
    return job.request.models[0].name, job.request.models[1].name
