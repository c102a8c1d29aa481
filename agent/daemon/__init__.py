"""The DaemonSet's program: sources on threads of their own, one loop that owns the state."""
