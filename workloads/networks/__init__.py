"""Builders of the networks Sextant knows by name, and of the families a search draws from."""
