"""Simulation: from a resolved configuration to arrays and Arrow tables. Knows nothing of folders and files."""
