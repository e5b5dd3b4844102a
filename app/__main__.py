"""``python -m app``: serve the dashboard. The port is open before anything slow is loaded; that goes on in a thread."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import streamlit as st
import typer
import uvicorn
from streamlit.web import bootstrap

from app import preload
from app.state.shipped import settings

MAIN = Path(__file__).parent / "main.py"


def main(
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Serve LSP Lab in the browser."""
    check_device(device)
    os.environ["LSP_DEVICE"] = device
    # Threads that spin while they wait make every neighbour slow, a training beside the dashboard for one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    bootstrap.load_config_options({**settings(), "server.port": port, "server.address": host})

    @asynccontextmanager
    async def opened(_: st.App) -> AsyncIterator[None]:
        typer.echo(f"LSP Lab: http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")
        # Only now: Streamlit's caches ask for the runtime where they are declared, and warn if it is not there.
        preload.start()
        yield
        if "app.state.orders" in sys.modules:
            sys.modules["app.state.orders"].stop_all()

    app = st.App(MAIN, lifespan=opened)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, ws_per_message_deflate=False)


def check_device(name: str) -> None:
    """Refuse a device that is not here, in one sentence."""
    if name == "auto":  # which is always there, so that torch need not be loaded yet
        return
    from lsp_core.device import pick_device

    try:
        pick_device(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def serve() -> None:
    """Run the command ``lsp-lab``."""
    typer.run(main)


if __name__ == "__main__":
    serve()
