"""The machines: one package each, and what they share: reports, configuration, technology, compiled kernels."""
