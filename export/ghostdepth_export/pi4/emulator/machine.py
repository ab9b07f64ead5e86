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
    """A Debian root under `qemu-aarch64 -cpu CPU`, in its own namespaces.

    In the guest the user is root on a Raspberry Pi 4, with the host's network. Each command starts
    from the root as it was built.

    Attributes:
        root: Root folder from `build_root`.
        layers: Folders mounted over the root, the uppermost first.
        home: Folder of the host that becomes /home/pi and keeps its files; several commands may use
            it at once. None for an empty folder that is deleted after the command.
        shares: Folders of the host with their absolute paths in the guest.
        cpu: QEMU's name of the CPU.
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
            env: Additional environment variables of the guest.
            cwd: Working directory in the guest.

        Raises:
            UserError: QEMU or unshare is missing, or a folder's path cannot be mounted or hides a
                folder of the guest.
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
        """Runs a command in the guest to its end and captures its output.

        Raises:
            subprocess.CalledProcessError: It failed, unless `check` is off.
            subprocess.TimeoutExpired: It took more than `timeout` seconds and was killed.
        """
        return subprocess.run(
            self.argv(command, env=env, cwd=cwd),
            check=check,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def _check_free(self, guest: str) -> None:
        path = self.root / guest.lstrip("/")
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise UserError(
                f"{guest} would hide a folder of the emulated Pi; work in another folder"
            )

    def _environment(self, env: Mapping[str, str]) -> list[str]:
        own = {"HOME": HOME, "PATH": _PATH, "LANG": "C.UTF-8", "QEMU_CPU": self.cpu}
        if "TERM" in os.environ:
            own["TERM"] = os.environ["TERM"]
        return ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in {**own, **env}.items())]
