"""Seconds that `ghostdepth export` takes for all files, step by step.

A step builds a file, verifies it on photos and writes it; the first file of each library includes
the import of that library. The ratio to 60 seconds should be at most 1.

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
        # A file follows the one before at once, so that one mark per file is enough.
        if line.startswith(("running", "building")):
            marks.append((line.removeprefix("building "), time.perf_counter()))

    # Imported here, because the imports are part of the measured time.
    from ghostdepth_export.convert.export import export

    with tempfile.TemporaryDirectory() as folder:
        files = export(
            options.checkpoint, Path(folder), calibration=options.data, progress=progress
        )
        marks.append(("end", time.perf_counter()))
        sizes = {path.name: path.stat().st_size for path in files}
    # The line contains the path of the calibration images, which is left out.
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
