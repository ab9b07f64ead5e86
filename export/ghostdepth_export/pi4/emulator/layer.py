"""bench-depth of this checkout, as a layer over a root."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.host.wheels import build_bench_depth

_COMMAND = """\
#!/usr/bin/python3
import sys
from bench_depth.commands.cli import main
sys.exit(main())
"""


def bench_layer(root: Path) -> Path:
    """Builds the wheel of bench-depth and unpacks it as Debian's Python would install it.

    Args:
        root: Root folder from `build_root` that the layer is mounted over.

    Returns:
        A folder for `Machine.layers`; it is rebuilt when the wheel's contents change.

    Raises:
        UserError: The wheel cannot be built, or the disk is full.
    """
    (site,) = root.glob("usr/local/lib/python3*/dist-packages")
    site = site.relative_to(root)
    with fresh_folder("ghostdepth-wheel-") as temporary:
        wheel = build_bench_depth(temporary)
        key = hashlib.sha256(wheel.read_bytes() + str(site).encode()).hexdigest()[:12]
        folder = cache_folder() / "layers" / f"bench-depth-{key}"
        with locked(folder):
            if not folder.exists():
                partial = folder.with_name(f".{folder.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(partial / site)
                command = partial / "usr/local/bin/bench-depth"
                command.parent.mkdir(parents=True)
                command.write_text(_COMMAND)
                command.chmod(0o755)
                partial.rename(folder)
    return folder
