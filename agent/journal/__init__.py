"""The live journal: a reader child of ours, and what it is told to read."""
