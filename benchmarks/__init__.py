"""Measured speeds and search quality: CPU time against a rival in the same process, interleaved, best of several."""
