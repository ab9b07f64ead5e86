"""Predicted latency of a network's exported file on a Raspberry Pi, for a latency budget."""

from ghostdepth_export.pi4.budget.file_latency import FileLatency, basis

__all__ = ["FileLatency", "basis"]
