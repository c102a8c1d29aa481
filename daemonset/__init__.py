"""How it is deployed: manifests as Python, rendered, checked and handed to kubectl."""
