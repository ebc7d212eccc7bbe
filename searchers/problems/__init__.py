"""What candidates are and what they cost, on every kind of machine."""
