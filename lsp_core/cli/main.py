"""The command line: parses, calls the core, prints. Exit status 2 and one sentence on bad input."""

from __future__ import annotations

import sys

import torch
import typer

from lsp_core.cli.attack import attack
from lsp_core.cli.audit import audit
from lsp_core.cli.bench import bench
from lsp_core.cli.evaluate import evaluate
from lsp_core.cli.info import info
from lsp_core.cli.options import plain
from lsp_core.cli.study import study
from lsp_core.cli.train import train

COMMANDS = (train, evaluate, audit, attack, study, bench, info)
INTERRUPTED = 130  # typer's exit status after Ctrl-C
GOES_ON = {
    "train": " What was finished is kept: the same command goes on with --resume.",
    "evaluate": " What --json was given is kept: the same command goes on with --resume.",
    "study": " What was finished is kept: the same command goes on.",
}

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line; bad input ends it with one sentence and status 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {sentence(error)}", err=True)
        sys.exit(2)
    except (MemoryError, torch.OutOfMemoryError):
        typer.echo("Error: there is too little memory for this: give a smaller --batch-size or --n.", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo(f"Interrupted.{GOES_ON.get(sys.argv[1], '')}", err=True)
        raise


def sentence(error: Exception) -> str:
    """Return what an error says, in one line without control characters; the system's own name a file and a reason.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.json"))
    'a.json cannot be used: No such file or directory.'
    """
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename} cannot be used: {error.strerror}."
    return " ".join(plain(text).split())
