"""How much memory the process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def reset_peak(root: Path = Path("/")) -> bool:
    """Starts a new peak, where the system can (Linux); whether it could."""
    try:
        # 5 sets the peak (VmHWM) back to the present size: proc(5).
        (root / "proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_rss_bytes(root: Path = Path("/")) -> int:
    """The most memory the process has held since `reset_peak`, or since its start."""
    try:
        for line in (root / "proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # No /proc: ask the C library below.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
