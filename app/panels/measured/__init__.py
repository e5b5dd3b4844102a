"""Panels of the other pages, in a folder of their own: the attack page opens without what they need."""
