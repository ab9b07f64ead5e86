"""The reports about a results file: the printed table, the page, CSV and Markdown."""
