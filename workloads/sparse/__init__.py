"""Products of sparse matrices: readers, seeded generators, stand-ins for published matrices, statistics."""
