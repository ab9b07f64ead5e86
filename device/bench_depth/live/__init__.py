"""`bench-depth live`: a camera's depth as it happens, on a page or into files."""
