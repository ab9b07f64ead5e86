"""The page and its frames over HTTP."""
