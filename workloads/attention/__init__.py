"""Attention: queries, keys and values of every head, from files, captures and seeded generators."""
