"""The HTML page about a results file, and what its SVG charts and embedded pictures are made of."""
