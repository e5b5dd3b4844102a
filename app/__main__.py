"""``python -m app``: serve the dashboard, with everything slow imported before the first visitor comes."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated

import torch
import typer
from streamlit.web import bootstrap

MAIN = Path(__file__).parent / "main.py"
SLOW_IMPORTS = (
    "altair",
    "captum.attr",
    "pandas",
    "sklearn.datasets",
    "sklearn.model_selection",
    "app.panels",
    "app.player",
)


def main(
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
) -> None:
    """Serve LSP Lab in the browser."""
    os.chdir(MAIN.parent.parent)  # where .streamlit/config.toml lies
    options = {"server_port": port, "server_address": host}
    bootstrap.load_config_options(options)
    for module in SLOW_IMPORTS:
        importlib.import_module(module)
    torch.set_num_threads(min(2, os.cpu_count() or 1))  # once for the whole process: it is a global of torch
    bootstrap.run(str(MAIN), False, [], options)


if __name__ == "__main__":
    typer.run(main)
