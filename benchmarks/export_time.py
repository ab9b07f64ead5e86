"""How long `ghostdepth export` takes for all files, step by step.

A step is building a file, verifying it on real photos and writing it; the first of a library's
files bears the library's import. The ratio to 60 seconds should be at most 1.

    python benchmarks/export_time.py [--checkpoint models/ghostdepth-s] [--data samples]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

from harness import ROOT, run, write_result

LIMIT_S = 60.0


def main() -> None:
    """Measures, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "models" / "ghostdepth-s")
    parser.add_argument("--data", type=Path, default=ROOT / "samples")
    options = parser.parse_args()
    marks = [("loading", time.perf_counter())]

    def progress(line: str) -> None:
        # Between a file's result and the next file there is nothing: one mark would do.
        if line.startswith(("running", "building")):
            marks.append((line.removeprefix("building "), time.perf_counter()))

    from ghostdepth_export.convert.export import (
        export,  # Its imports are a part of what a user waits for.
    )

    with tempfile.TemporaryDirectory() as folder:
        files = export(
            options.checkpoint, Path(folder), calibration=options.data, progress=progress
        )
        marks.append(("end", time.perf_counter()))
        sizes = {path.name: path.stat().st_size for path in files}
    # The photos' folder is in that line, wherever it lies.
    steps = {
        "torch, for comparison" if name.startswith("running") else name: later - earlier
        for (name, earlier), (_, later) in itertools.pairwise(marks)
    }
    total = sum(steps.values())
    for name, seconds in steps.items():
        print(f"{name:32}{seconds:8.2f} s")
    print(f"{'all':32}{total:8.2f} s")
    write_result(
        "export_time",
        ratio=total / LIMIT_S,
        target="<= 1",
        raw={"total_s": total, "limit_s": LIMIT_S, "steps_s": steps, "bytes": sizes},
    )


if __name__ == "__main__":
    run(main)
