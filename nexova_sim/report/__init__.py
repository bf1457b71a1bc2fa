"""From Arrow tables to one page: time bins, table rows, figures, HTML. Reads no dataset file itself."""
