"""What Postgres says and understands: its protocol, WAL, tar, manifest and refusals."""
