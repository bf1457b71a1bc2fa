"""What the data means: channels, Arrow tables, manifest. The single source for units, ranges and descriptions."""
