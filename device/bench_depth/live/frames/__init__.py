"""One frame: the picture, its depth, its times."""
