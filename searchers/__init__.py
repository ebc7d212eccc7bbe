"""Which point next: spaces, algorithms, accuracy oracles, studies and their store."""
