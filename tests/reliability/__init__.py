"""What may befall a node, played before a real agent, and what was told of each counted."""
