"""What the bots remember between two events and after a restart; see README.md."""
