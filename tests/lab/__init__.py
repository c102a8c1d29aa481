"""A real node in a box: boots systemd, journald and dockerd, breaks them, records what is seen."""
