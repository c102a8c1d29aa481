"""From a laptop: a kubeconfig, an API server, and agents behind it."""
