"""Depth of images: a model by name or file, colours, point clouds, files of results."""
