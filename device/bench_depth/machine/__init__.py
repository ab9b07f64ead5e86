"""The board: what it is, how it is doing, and guards around what may crash on it."""
