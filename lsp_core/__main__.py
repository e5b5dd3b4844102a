"""``python -m lsp_core``: the command line."""

from lsp_core.cli import main

main()
