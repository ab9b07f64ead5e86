"""Rooms built from primitives, rendered with Blender; used by `render.py` only."""
