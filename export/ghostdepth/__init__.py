"""The `ghostdepth` command line."""
