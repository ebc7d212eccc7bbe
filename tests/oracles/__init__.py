"""Slow, obviously right models that the fast kernels must equal."""
