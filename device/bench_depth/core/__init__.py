"""Errors, files, dataset folders and metrics, shared with the host packages."""
