"""Takes newer wheels for the bundles: `python -m ghostdepth_export.ship.bundle.lock [TARGET...]`.

What is wanted stands in `targets.py`, what it came to in `wheel_lists/*.txt`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.host.wheels import resolve
from ghostdepth_export.ship.bundle.targets import TARGETS, Target, find_target, lock_file


def main(names: Sequence[str]) -> int:
    """Writes the lists of the named targets anew; of all where none is named."""

    def write() -> int:
        for name in names or TARGETS:
            for suffix, text in lists(find_target(name)).items():
                write_bytes(lock_file(name, suffix), text.encode())
        return 0

    return exit_code("lock", write)


def lists(target: Target) -> dict[str, str]:
    """The list for each kind of model; a package that several need has one version in all.

    Raises:
        UserError: The index cannot be reached, or nothing fits.
    """
    common = resolve((*target.packages, *target.runtimes.values()), target.system).splitlines()
    texts = {}
    for suffix, runtime in target.runtimes.items():
        needed = resolve((*target.packages, runtime), target.system).splitlines()
        names = {line.partition("==")[0] for line in needed}
        texts[suffix] = "".join(f"{line}\n" for line in common if line.partition("==")[0] in names)
    return texts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
