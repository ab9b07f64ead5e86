"""What stands, lies or hangs in a room, built from primitives."""
