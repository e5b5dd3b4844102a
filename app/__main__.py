"""``python -m app``: serve the dashboard, with everything slow imported before the first visitor comes."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
from pathlib import Path
from typing import Annotated

import torch
import typer
from streamlit.web import bootstrap

from app.state.shelf import folder
from app.state.shipped import settings
from lsp_core import load_checkpoint
from lsp_core.attacks import PGD
from lsp_core.explain.saliency import attribute
from lsp_core.store.checkpoint import list_checkpoints

MAIN = Path(__file__).parent / "main.py"
SLOW_IMPORTS = (
    "altair",
    "captum.attr",
    "pandas",
    "sklearn.datasets",
    "sklearn.model_selection",
    "app.panels.controls",
    "app.panels.attacked",
    "app.panels.player",
)


def main(
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
) -> None:
    """Serve LSP Lab in the browser."""
    options = {**settings(), "server.port": port, "server.address": host}
    bootstrap.load_config_options(options)
    for module in SLOW_IMPORTS:
        importlib.import_module(module)
    torch.set_num_threads(min(2, os.cpu_count() or 1))  # once for the whole process: it is a global of torch
    warm_up()
    gc.collect()
    gc.freeze()  # what is loaded by now stays; to look it over at every collection would hold up pages and attacks
    bootstrap.run(str(MAIN), False, [], options)


def warm_up() -> None:
    """Attack a blank image, so that the first visitor does not wait for what torch sets up at first use."""
    for name, card in list_checkpoints(folder())[0].items():
        with contextlib.suppress(ValueError, OSError):  # the page says what is wrong with a checkpoint
            model, _ = load_checkpoint(folder() / f"{name}.safetensors")
            blank, label = torch.zeros(1, *card.image_shape), torch.zeros(1, dtype=torch.int64)
            PGD(0.1, steps=1)(model, blank, label)
            attribute(model, blank, label)
            return


def serve() -> None:
    """Run the command ``lsp-lab``."""
    typer.run(main)


if __name__ == "__main__":
    serve()
