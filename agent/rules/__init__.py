"""Rules as data: what was said, and by whom, becomes Facts."""
