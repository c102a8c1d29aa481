"""A cluster's one replica: which incidents of many nodes are one, which nodes are unseen."""
