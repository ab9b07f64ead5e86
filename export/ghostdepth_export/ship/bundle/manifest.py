"""What makes a folder a bundle: manifest.json, SHA256SUMS, and fixed modes and times."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_depth
from bench_depth.core.files import plain_name, read_object
from bench_depth.core.jsonable import build_from
from ghostdepth_export.ship.bundle.targets import Target
from ghostdepth_export.ship.bundle.wheelhouse import sha256

SCHEMA = "ghostdepth-bundle/1"
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
# 1980-01-01, as in the wheel of bench-depth.
_TIME = 315532800
_BLOCK = 4096
# An environment without packages, and what is compiled when the packages are imported.
_BARE_ENV = 24 * 2**20


@dataclass(frozen=True)
class Manifest:
    """What a deployment needs of a manifest.

    Attributes:
        id: The bundle's id, a plain name: it becomes a part of paths on the Pi.
        target: Key of `targets.TARGETS`.
        env_bytes: Bytes that the installed packages take on the Pi's disk.
    """

    id: str
    target: str
    env_bytes: int


def read_manifest(bundle: Path) -> Manifest:
    """Reads the manifest in the folder of a bundle.

    Raises:
        UserError: It is missing or damaged, or the id is no plain name.
    """
    path = bundle / MANIFEST
    manifest = build_from(Manifest, read_object(path), path)
    plain_name(manifest.id, f"{path}: id")
    return manifest


def seal(folder: Path, target_name: str, target: Target) -> str:
    """Writes both lists, and gives every file and folder its mode and time.

    Args:
        folder: Holds `install`, `wheels/`, `models/` and perhaps `samples/`.
        target_name: Name of the target in the manifest.
        target: The system.

    Returns:
        The bundle's id: a checksum over everything else in the manifest.

    Raises:
        OSError: The disk is full.
    """
    manifest = _manifest(folder, target_name, target)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    # The last line, the manifest's, shows `install` that the list is complete.
    sums = {path: entry["sha256"] for path, entry in manifest["files"].items()}
    sums[MANIFEST] = sha256(folder / MANIFEST)
    lines = "".join(f"{checksum}  {path}\n" for path, checksum in sums.items())
    (folder / SUMS).write_text(lines, encoding="utf-8")
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        path.chmod(0o755 if path.is_dir() or path.name == "install" else 0o644)
        os.utime(path, (_TIME, _TIME))
    return str(manifest["id"])


def _manifest(folder: Path, target_name: str, target: Target) -> dict[str, Any]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    paths = sorted(found - {MANIFEST, SUMS})
    files = {
        path: {"sha256": sha256(folder / path), "bytes": (folder / path).stat().st_size}
        for path in paths
    }
    wheels = sorted((folder / "wheels").glob("*.whl"))
    kinds = {Path(path).suffix for path in paths if path.startswith("models/")}
    versions = dict(wheel.name.split("-")[:2] for wheel in wheels)
    runtimes = sorted(target.runtimes[kind].partition("==")[0] for kind in kinds)
    content = [path for path in paths if not path.startswith("wheels/")]
    entries = {
        "schema": SCHEMA,
        "target": target_name,
        "machine": target.machine,
        "python": target.system.python,
        "bench_depth": bench_depth.__version__,
        "runtime": {name: versions[name.replace("-", "_")] for name in runtimes},
        # What is taken on the Pi's disk.
        "env_bytes": _BARE_ENV + sum(_unpacked(wheel) for wheel in wheels),
        "version_bytes": sum(_blocks((folder / path).stat().st_size) for path in content),
        "files": files,
    }
    text = json.dumps(entries, sort_keys=True).encode()
    return {"id": hashlib.sha256(text).hexdigest()[:16], **entries}


def _unpacked(wheel: Path) -> int:
    if wheel.name.startswith("pip-"):
        return 0
    with zipfile.ZipFile(wheel) as archive:
        return sum(_blocks(entry.file_size) for entry in archive.infolist())


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
