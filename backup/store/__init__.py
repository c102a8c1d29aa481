"""Where a backup lies: objects, parts, compression, seal, lock, and the manifest written last."""
