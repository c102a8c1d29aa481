"""The agent's own page: three files, read for each visitor and kept by nobody."""
