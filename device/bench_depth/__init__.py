"""bench-depth: how fast and how good a monocular depth model is on the machine it runs on."""

__version__ = "0.1.0"
