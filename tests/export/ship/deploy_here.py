"""This machine in the place of Pis: an `ssh` that runs commands here, and a small bundle."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_depth.results.records import save
from ghostdepth_export.host.wheels import WheelTarget
from ghostdepth_export.ship.bundle import Target

from tests.export.results_files import results_of

SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
HERE = Target(
    WheelTarget(f"{sys.version_info.major}.{sys.version_info.minor}", 17),
    (),
    {".tflite": "none"},
    machine=platform.machine(),
)
# As sshd does it: what follows the host is joined and run by a shell in the login's home folder.
# `pi` stands for the host of the connection that is open; its folder is that of the socket.
_SSH = """\
#!/bin/sh
while :; do
    case $1 in
        -S) socket=$2; shift 2 ;;
        -o | -F | -i | -p) shift 2 ;;
        -o*) shift ;;
        -s) subsystem=yes; shift ;;
        -T | -- | -2 | -x | -a) shift ;;
        *) break ;;
    esac
done
host=$1
shift
[ "$host" = pi ] && host=$(cat "$socket") || echo "$host" >"$socket"
[ ! -f '{homes}'/"$host.says" ] || {{ cat '{homes}'/"$host.says" >&2; exit 255; }}
export HOME='{homes}'/"$host"
mkdir -p "$HOME"
cd "$HOME"
[ -z "$subsystem" ] || exec {sftp_server}
exec sh -c "$*"
"""
_INSTALL = """\
set -e
case $1 in
    --rollback) echo "rolled back to before at $3/current"; exit ;;
esac
bundle=$(dirname "$0") prefix=$2
cd "$bundle"
sha256sum -c --quiet SHA256SUMS >/dev/null 2>&1 || { echo "install: wrong checksum" >&2; exit 13; }
id=$(sed -n 's/^  "id": "\\(.*\\)",$/\\1/p' manifest.json)
version=$prefix/versions/$id
rm -rf "$version"
mkdir -p "$version"
cp -r install manifest.json models "$version"
cp wheels/bench-depth "$version"
ln -sfn "versions/$id" "$prefix/current"
echo "installed $id at $prefix/current"
"""
_BENCH = """\
#!/bin/sh
echo "$*" >"$HOME/asked"
echo "bench-depth: measured" >&2
cp '{results}' "$2"
exit {code}
"""


class Homes:
    """Home folders of hosts that all are this machine.

    Args:
        folder: Where they are made, with the programs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.bench_code = 0
        (folder / "homes").mkdir()
        homes = str(folder / "homes")
        self._program("ssh", _SSH.format(homes=homes, sftp_server=SFTP_SERVER))

    def home(self, host: str) -> Path:
        return self.folder / "homes" / host

    def says(self, host: str, text: str) -> None:
        """Makes the connection to a host fail."""
        (self.folder / "homes" / f"{host}.says").write_text(text)

    def build_bundle(self, target: str, models: Sequence[Path], out: Path, **_: Any) -> str:
        """In the place of the real one: quick, and with a stand-in for bench-depth."""
        for part in ("wheels", "models"):
            (out / part).mkdir(parents=True)
        (out / "install").write_text(_INSTALL)
        for model in models:
            (out / "models" / model.name).write_bytes(model.read_bytes())
        results = self.folder / "results.json"
        save(results_of(models[0].name, 20.0), results)
        bench = out / "wheels" / "bench-depth"
        bench.write_text(_BENCH.format(results=results, code=self.bench_code))
        bench.chmod(0o755)
        return _seal(out, target)

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)


def _seal(folder: Path, target: str) -> str:
    """Writes as much of a bundle's lists as deploying and the installer above read."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    lines = "".join(f"{digest}  {path.relative_to(folder)}\n" for path, digest in sums.items())
    (folder / "SHA256SUMS").write_text(lines)
    bundle_id = hashlib.sha256(lines.encode()).hexdigest()[:16]
    manifest = {"id": bundle_id, "target": target, "env_bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return bundle_id
