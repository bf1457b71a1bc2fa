"""Datasets on disk: write, read, check, query, split, ingest. Knows nothing of how data were made."""
