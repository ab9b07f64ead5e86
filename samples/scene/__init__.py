"""Rooms built from primitives, rendered with Blender; used by `samples/render.py` only."""
