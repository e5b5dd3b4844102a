"""The command line: parses, calls the core, prints. Exit status 2 and one sentence on bad input."""

from __future__ import annotations

import ast
import gc
import importlib
import keyword
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lsp_core.cli.console import plain

COMMANDS = (
    "train",
    "evaluate",
    "audit",
    "attack",
    "certify",
    "study",
    "bench",
    "info",
    "import",
)  # each a file, and a function in it
INTERRUPTED = 130  # typer's exit status after Ctrl-C
GOES_ON = {
    "train": " What was finished is kept: the same command goes on with --resume.",
    "evaluate": " What --json was given is kept: the same command goes on with --resume.",
    "study": " What was finished is kept: the same command goes on.",
}


def main() -> None:
    """Run the command line; bad input ends it with one sentence and status 2."""
    try:
        Group(commands=[TyperCommand(name, help=about(name)) for name in COMMANDS], no_args_is_help=True)()
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {sentence(error)}", err=True)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        torch = sys.modules.get("torch")  # whose error can only be there if it is, and which need not be loaded for it
        if not isinstance(error, MemoryError) and not (torch and isinstance(error, torch.OutOfMemoryError)):
            raise
        typer.echo("Error: there is too little memory for this: give a smaller --batch-size or --n.", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo(f"Interrupted.{GOES_ON.get(sys.argv[1], '')}", err=True)
        raise


class Group(TyperGroup):
    """Imports a command when it is run: each of them loads torch, two seconds that a list of them can do without."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and its arguments.

        Raises:
            UsageError: if there is none of that name.
        """
        name, _, rest = super().resolve_command(ctx, args)
        gc.disable()  # nothing that is imported is garbage yet, and to look through it takes a quarter of a second
        module = importlib.import_module(f"lsp_core.cli.{spelled(args[0])}")
        gc.enable()
        one = typer.Typer(add_completion=False)
        one.command(name)(getattr(module, spelled(args[0])))
        return name, typer.main.get_command(one), rest


def spelled(name: str) -> str:
    """Return what the file of a command and the function in it are called: its name, if Python lets them.

    >>> spelled("info"), spelled("import")
    ('info', 'import_')
    """
    return f"{name}_" if keyword.iskeyword(name) else name


def about(name: str) -> str:
    """Return what a command says it does, read from its file without importing it.

    >>> about("bench")
    "Measure our attacks, metrics and training steps side by side with other people's."
    """
    text = Path(__file__).with_name(f"{spelled(name)}.py").read_text(encoding="utf-8")
    functions = (part for part in ast.parse(text).body if isinstance(part, ast.FunctionDef))
    return next(ast.get_docstring(function) or "" for function in functions if function.name == spelled(name))


def sentence(error: Exception) -> str:
    """Return what an error says, in one line without control characters; the system's own name a file and a reason.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.json"))
    'a.json cannot be used: No such file or directory.'
    """
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename} cannot be used: {error.strerror}."
    return " ".join(plain(text).split())
