"""Ground floor: errors, units, hashing, log. Imports nothing of the house."""
