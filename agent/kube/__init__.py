"""The Kubernetes API as this node needs it: two watches and a few Events, on the standard library."""
