"""`knockon backup exec` and `doctor`: governs a tool of others, its whole family of processes."""
