"""The dashboard: draws what lsp_core computes."""
