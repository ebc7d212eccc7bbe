"""Sweeps: every point of a grid, on several machines and workloads."""
