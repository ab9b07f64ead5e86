"""The memory of the process: present and peak resident size."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Optional


def reset_peak() -> bool:
    """Resets the peak to the present size; returns whether the system supports that (Linux)."""
    try:
        # 5 sets the peak (VmHWM) back to the present size: proc(5).
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def rss_bytes() -> int:
    """Returns the present resident size in bytes; 0 where the system does not report it."""
    return _status("VmRSS") or 0


def peak_rss_bytes() -> int:
    """Returns the largest resident size in bytes since `reset_peak`, or since the start."""
    known = _status("VmHWM")
    if known is not None:
        return known
    # No /proc.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(field: str) -> Optional[int]:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
