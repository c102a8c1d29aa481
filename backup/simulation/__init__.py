"""A simulated disk under load, and the law running on it: an hour in seconds."""
