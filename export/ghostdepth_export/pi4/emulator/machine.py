"""Runs commands in an emulated Raspberry Pi."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from bench_depth.core.errors import UserError
from ghostdepth_export.host.programs import need

HOME = "/home/pi"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Machine:
    """A Debian root under `qemu-aarch64 -cpu CPU`, in namespaces of its own.

    The guest sees itself as root on a Raspberry Pi 4 and shares the host's network. Each command
    starts from the root as it was built.

    Attributes:
        root: From `build_root`.
        layers: Folders laid over the root, the uppermost first.
        home: Folder of the host that is kept as /home/pi; several commands may use it at once.
            None for an empty one that ends with the command.
        shares: Folders of the host, and the absolute paths at which the guest sees them.
        cpu: As QEMU names it.
    """

    root: Path
    layers: Sequence[Path] = ()
    home: Path | None = None
    shares: Mapping[Path, str] = field(default_factory=dict)
    cpu: str = "cortex-a72"

    def argv(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str = HOME
    ) -> list[str]:
        """The command of the host that runs `command` in the guest.

        Standard input, output and error, and the exit code, are the guest command's.

        Args:
            command: Program and arguments; the program is looked up in the guest.
            env: More variables of the guest's environment.
            cwd: Where in the guest the command starts.

        Raises:
            UserError: QEMU or unshare is missing, or a folder's path cannot be mounted or is one
                that the guest needs.
        """
        lower = [str(path.absolute()) for path in (*self.layers, self.root)]
        for path in lower:
            if set(path) & set(":,\\"):
                raise UserError(
                    f"{path} cannot be mounted: a path with a colon, comma or backslash; set "
                    "GHOSTDEPTH_CACHE to another folder"
                )
        mount = self.root.parent / "mount"
        mount.mkdir(exist_ok=True)
        shares = {**self.shares, **({self.home: HOME} if self.home is not None else {})}
        for guest in shares.values():
            self._check_free(guest)
        argv = [need("unshare"), "--user", "--map-root-user", "--mount", "--pid", "--fork"]
        argv += ["--kill-child", "sh", str(resources.files(__package__) / "enter.sh")]
        argv += [":".join(lower), str(mount), need("qemu-aarch64-static"), cwd]
        for host, guest in shares.items():
            argv += [str(host.absolute()), guest]
        return [*argv, "--", *self._environment(env or {}), *command]

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = HOME,
        check: bool = True,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the guest to its end and keeps what it prints.

        Raises:
            subprocess.CalledProcessError: It failed, unless `check` is off.
            subprocess.TimeoutExpired: It took more than `timeout` seconds and was ended.
        """
        return subprocess.run(
            self.argv(command, env=env, cwd=cwd),
            check=check,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def _check_free(self, guest: str) -> None:
        place = self.root / guest.lstrip("/")
        if place.exists() and not (place.is_dir() and not any(place.iterdir())):
            raise UserError(
                f"{guest} would hide the emulated Pi's own; work in another folder of the host"
            )

    def _environment(self, env: Mapping[str, str]) -> list[str]:
        own = {"HOME": HOME, "PATH": _PATH, "LANG": "C.UTF-8", "QEMU_CPU": self.cpu}
        if "TERM" in os.environ:
            own["TERM"] = os.environ["TERM"]
        return ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in {**own, **env}.items())]
