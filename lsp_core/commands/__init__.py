"""The commands of ``python -m lsp_core``, one file each."""
