"""What lasts longer than a rerun: jobs, caches, and the folder of checkpoints."""
