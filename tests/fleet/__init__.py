"""The cluster's replica: what it joins, whom it misses, and that there is only one of it."""
