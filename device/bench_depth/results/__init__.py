"""The results file: its records, its schema and its warnings."""
