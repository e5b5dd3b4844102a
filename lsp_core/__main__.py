"""``python -m lsp_core``: the command line."""

from lsp_core.cli.main import main

main()
