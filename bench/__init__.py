"""The numbers, side by side with peers: every bench prints ratios, none asserts a time."""
