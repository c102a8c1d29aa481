"""The way back: read every byte, check it, land it whole, start a scratch Postgres on it."""
