"""Predicted latency of a network's exported file on a Raspberry Pi 4, for a latency budget."""

from ghostdepth_export.pi4.budget.file_latency import FileLatency

__all__ = ["FileLatency"]
