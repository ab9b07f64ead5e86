"""The inputs of a compression method, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ghostdepth_train.compress import Work
from ghostdepth_train.data import read_split


def work(data: Path, out: Path | str, **changes: Any) -> Work:
    """Work on a data folder that is written to a path, or to a name beside the data."""
    return Work(out=data.parent / out, split=read_split(data), workers=0, **changes)
