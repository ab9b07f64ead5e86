"""How much memory the process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Optional


def reset_peak(root: Path = Path("/")) -> bool:
    """Starts a new peak, where the system can (Linux); whether it could."""
    try:
        # 5 sets the peak (VmHWM) back to the present size: proc(5).
        (root / "proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def rss_bytes(root: Path = Path("/")) -> int:
    """The memory the process holds now; 0 where the system does not tell."""
    return _status(root, "VmRSS") or 0


def peak_rss_bytes(root: Path = Path("/")) -> int:
    """The most memory the process has held since `reset_peak`, or since its start."""
    known = _status(root, "VmHWM")
    if known is not None:
        return known
    # No /proc: ask the C library.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(root: Path, field: str) -> Optional[int]:
    try:
        for line in (root / "proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
