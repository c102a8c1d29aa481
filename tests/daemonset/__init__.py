"""The manifests: how values become objects, and what those objects may do."""
