"""Who evaluates points: threads, processes, a cluster."""
