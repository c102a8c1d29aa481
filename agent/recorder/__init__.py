"""The flight recorder: sensors, one sample a second, and the ring that survives us."""
