"""What every other part stands on, the host included: errors, files, datasets, metrics."""
