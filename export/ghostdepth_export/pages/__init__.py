"""HTML pages about results."""
