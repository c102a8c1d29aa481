"""The Kubernetes API as this node needs it: two watches, a few Events, no client library."""
