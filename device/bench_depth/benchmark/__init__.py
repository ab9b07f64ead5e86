"""One benchmark of model files: its options, its measurements and their records."""
