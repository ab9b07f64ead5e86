"""`bench-depth live` as a systemd service."""
