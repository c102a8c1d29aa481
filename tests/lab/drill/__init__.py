"""The drill: the Friday-night outage on a node in a box, with a real backup, monitor and agent."""
