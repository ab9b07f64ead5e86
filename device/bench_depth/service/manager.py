"""The files of the service, and what systemd is asked to do with it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_text, write_bytes
from bench_depth.live.web.access import TOKEN_VARIABLE, check_token
from bench_depth.service.unit import environment_line

NAME = "bench-depth"
# Exists where systemd runs, see sd_booted(3).
_BOOTED = Path("/run/systemd/system")
_SYSTEM_FILES = Path("/etc")
_SECRETS = (TOKEN_VARIABLE, "BENCH_DEPTH_MQTT_USER", "BENCH_DEPTH_MQTT_PASSWORD")
_PAGE = "# The page: "
# Most faults show within seconds: when the model, the source and the MQTT host are opened.
_WATCHED_S = 8.0


@dataclass(frozen=True)
class Service:
    """The service of the system, or that of the user who runs this.

    Attributes:
        system: Whether it is the system's.
    """

    system: bool

    @property
    def unit(self) -> Path:
        """The unit's file."""
        folder = "system" if self.system else "user"
        return self._files / "systemd" / folder / f"{NAME}.service"

    @property
    def secrets(self) -> Path:
        """The file of the token and passwords, which only its owner may read."""
        return self._files / NAME / "service.env"

    @property
    def _files(self) -> Path:
        if self.system:
            return _SYSTEM_FILES
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")

    def install(self, text: str, url: str, token: bool) -> str:
        """Writes the files, and has systemd start the service now and from now on.

        Args:
            text: The unit.
            url: Address of the page without a token; empty for none.
            token: Whether the page needs one.

        Returns:
            The address of the page with its token.

        Raises:
            UserError: systemd is not here or refuses, the token of the environment is none, or a
                file cannot be written. Then a service that was not there before is not left behind.
        """
        self.require("install")
        if os.environ.get(TOKEN_VARIABLE):
            check_token(os.environ[TOKEN_VARIABLE])
        # Whether it may be asked at all, before anything is written.
        self._ask("daemon-reload")
        new = not self.unit.exists()
        try:
            page = self._write_secrets(url, token)
            write_bytes(self.unit, text.encode())
            self._ask("daemon-reload")
            self._ask("enable", self.unit.name)
            self._ask("restart", self.unit.name)
        except BaseException:  # Ctrl-C, while systemd is asked, too.
            if new:
                self._delete()
            raise
        return page

    def failure(self) -> Optional[str]:
        """Watches the service start, for some seconds.

        Returns:
            What it printed last if it has failed, empty if that cannot be read; None if it runs, or
            ended without a fault.
        """
        end = time.monotonic() + _WATCHED_S
        while True:
            state = self._said([*self._systemctl, "is-active", self.unit.name])
            # While it waits to be started again it is "activating".
            if state in ("activating", "failed"):
                break
            if state == "inactive" or time.monotonic() >= end:
                return None
            time.sleep(1)
        field = "_SYSTEMD_UNIT" if self.system else "_SYSTEMD_USER_UNIT"
        words = ["journalctl", "--quiet", "--lines=1", "--output=cat", f"{field}={self.unit.name}"]
        return self._said(words).replace("bench-depth: ", "", 1)

    def remove(self) -> None:
        """Ends the service and deletes its files.

        Raises:
            UserError: It is not there, or systemd is not here or refuses.
        """
        self.require("remove")
        self.require_installed()
        self._ask("disable", "--now", self.unit.name)
        self._delete()
        self._ask("daemon-reload")
        # systemd still lists one that had failed.
        with contextlib.suppress(UserError):
            self._ask("reset-failed", self.unit.name)

    def status(self) -> int:
        """Prints systemd's words about the service; returns its exit code, 0 for running."""
        self.require("status")
        self.require_installed()
        return subprocess.call(
            [*self._systemctl, "status", "--no-pager", "--lines=0", self.unit.name]
        )

    def logs(self, follow: bool) -> int:
        """Prints the last 100 lines of the service, and those to come until Ctrl-C."""
        self.require("logs")
        self.require_installed()
        # Not `--user`: without a stored journal a user's lines are in the system's.
        option = "--unit" if self.system else "--user-unit"
        words = ["journalctl", "--no-pager", "--lines=100", option, self.unit.name]
        return subprocess.call([*words, *(["--follow"] if follow else [])])

    def page(self) -> str:
        """The address of the page with its token; empty where there is none to be read."""
        with contextlib.suppress(UserError, OSError):
            for line in read_text(self.secrets).splitlines():
                if line.startswith(_PAGE):
                    return line[len(_PAGE) :]
        return ""

    def require(self, action: str) -> None:
        """Checks that systemd runs here and that this user may ask it.

        Raises:
            UserError: It does not, or the user is not root and the service is the system's.
        """
        if not _BOOTED.is_dir() or shutil.which("systemctl") is None:
            raise UserError(
                "systemd does not run here (a container, or another init); start `bench-depth "
                "live` by other means, `bench-depth service install --print` prints the unit"
            )
        if self.system and action in ("install", "remove") and os.geteuid() != 0:
            program = shlex.join([sys.executable, "-m", "bench_depth"])
            raise UserError(
                f"--system needs root; run: sudo {program} service {action} --system ..."
            )

    def require_installed(self) -> None:
        """Checks that the service is installed.

        Raises:
            UserError: It is not.
        """
        if self.unit.exists():
            return
        other = Service(not self.system)
        hint = "run: bench-depth service install"
        if other.unit.exists():
            hint = "add --system" if other.system else "leave out --system"
        whose = "of the system" if self.system else "of this user"
        raise UserError(f"there is no service {whose}: {self.unit} does not exist; {hint}")

    @property
    def _systemctl(self) -> list[str]:
        return ["systemctl"] if self.system else ["systemctl", "--user"]

    @staticmethod
    def _said(words: list[str]) -> str:
        """The output of a program, whatever its exit code."""
        done = subprocess.run(words, check=False, capture_output=True, text=True, errors="replace")
        return done.stdout.strip()

    def _ask(self, *words: str) -> None:
        done = subprocess.run(
            [*self._systemctl, *words],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
            hint = "" if self.system else "; log in as this user itself, not by su or sudo"
            raise UserError(f"{shlex.join([*self._systemctl, *words])}: {said}{hint}")

    def _write_secrets(self, url: str, token: bool) -> str:
        """Writes the token and passwords; those in the environment, else a token that was there."""
        values = {name: os.environ[name] for name in _SECRETS if os.environ.get(name)}
        if token or TOKEN_VARIABLE in values:
            values.setdefault(TOKEN_VARIABLE, self._old_token() or secrets.token_urlsafe(16))
            url = url and f"{url}?token={values[TOKEN_VARIABLE]}"
        write_secrets(self.secrets, url, values)
        return url

    def _old_token(self) -> str:
        found = re.search(r"\?token=(\S+)$", self.page())
        return found[1] if found else ""

    def _delete(self) -> None:
        for path in (self.unit, self.secrets):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.secrets.parent.rmdir()


def write_secrets(path: Path, url: str, values: Mapping[str, str]) -> None:
    """Writes the environment of the service to a file that only its owner may read.

    Args:
        path: The file.
        url: Address of the page with its token; empty for none.
        values: Values of the variables.

    Raises:
        UserError: A value has a control character, or the file cannot be written.
    """
    lines = [f"{_PAGE}{url}\n"] if url else []
    lines += [environment_line(name, value) for name, value in values.items()]
    with _private():
        write_bytes(path, "".join(lines).encode())


@contextlib.contextmanager
def _private() -> Iterator[None]:
    """Files and folders made in the block are for their owner alone, from the first moment."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
