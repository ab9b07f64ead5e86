"""Shapes, cloth and materials, and the look that the materials of a room have in common."""
