"""Panels of the pages that show what was measured: they need Altair, which the attack page opens without."""
