"""Configuration: strict types, a YAML loader that answers back, machine kinds, fault kinds."""
