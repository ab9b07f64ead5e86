"""`bench-depth live`: a camera's depth as it happens, on a page or into files."""

from bench_depth.live.command import main

__all__ = ["main"]
