"""Folders of the source tree that this package runs from."""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
# RGB + depth pairs that the project rendered itself.
SAMPLES = SOURCE / "samples"
