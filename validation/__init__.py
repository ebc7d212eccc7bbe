"""Published numbers against ours: what agrees, what does not, and why."""
