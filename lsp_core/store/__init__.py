"""Files: checkpoints, JSON records, and where a figure comes from."""
