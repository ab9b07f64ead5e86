"""Takes a folder as the repository's history has it: a network that was released before.

    python benchmarks/reproduce/kept.py COMMIT FOLDER OUT

`make.py` runs it for the steps that start from one.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import make_folder

ROOT = Path(__file__).resolve().parents[2]


def take(commit: str, folder: str, out: Path) -> None:
    """Writes the files of a folder of the repository, as they were at a commit, into `out`.

    A folder that is there already is left as it is.

    Raises:
        UserError: The history has no such folder, as in a clone without history.
    """
    if out.is_dir():
        return
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", f"{commit}:{folder}"]
    found = subprocess.run(command, check=False, capture_output=True)
    if found.returncode:
        raise UserError(
            f"the repository's history has no {folder} at {commit}; it takes a whole clone: "
            "git fetch --unshallow"
        )
    with tempfile.TemporaryDirectory(dir=make_folder(out.parent)) as temporary:
        with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
            archive.extractall(Path(temporary) / "whole", filter="data")
        (Path(temporary) / "whole").rename(out)


def main() -> int:
    """Takes the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("folder")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    take(options.commit, options.folder, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("kept.py", main))
