"""What a network's exported file takes on a Raspberry Pi 4, for what is fitted to a budget."""

from ghostdepth_export.pi4.budget.file_latency import FileClock

__all__ = ["FileClock"]
