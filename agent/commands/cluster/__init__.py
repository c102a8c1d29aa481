"""A cluster as a person at a laptop sees it: through the API server, with a kubeconfig."""
