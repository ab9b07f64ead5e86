"""A Pi to deploy to, and `ghostdepth deploy` as a process of its own."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .ssh_server import SshServer

HOST = "pi4"
# A shell starts background jobs with SIGINT ignored, and Python leaves it so.
_LAUNCH = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
COMMAND = "from ghostdepth.commands import main; main()"
_QUICK = ("--no-samples", "--warmup", "0", "--min-runs", "1", "--min-time", "0", "--threads", "2")


class Pi:
    """A Pi behind an ssh server.

    Args:
        folder: For the server's keys, models and results.
        home: The home folder of its login.
        login: The command of a login's shell, but for the shell's last argument.
        path: Where a login looks for programs, behind `.fake` of its home folder.
        model: The start of each model file.
        command: Python code that is `ghostdepth`.
    """

    def __init__(
        self,
        folder: Path,
        home: Path,
        login: Sequence[str],
        path: str,
        model: bytes,
        command: str = COMMAND,
    ) -> None:
        self.folder, self.home = folder, home
        self.server = SshServer(folder, login)
        self.prefix = home / "ghostdepth"
        self._login, self._path, self._model = login, path, model
        self._command = _LAUNCH + command
        self._numbers = itertools.count(1)

    def new_model(self, padding: int = 1 << 20) -> Path:
        """A model that the Pi has never seen: a copy with other bytes behind it."""
        number = next(self._numbers)
        path = self.folder / f"model {number}.tflite"
        path.write_bytes(self._model + random.Random(number).randbytes(padding))
        return path

    def start(
        self,
        *arguments: str | Path,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
        hosts: Sequence[str] = (HOST,),
    ) -> subprocess.Popen[str]:
        """Starts `ghostdepth deploy`; everything that it prints to stderr can be read."""
        command = [sys.executable, "-c", self._command, "deploy", *hosts, *map(str, arguments)]
        command += ["--ssh-config", str(config or self.server.client())]
        command += [*_QUICK, "--results", str(self.folder / "results")]
        # What a killed one leaves is pytest's to remove. No socket's path can be as long.
        temporary = self.folder / ("tmp" * 40)
        temporary.mkdir(exist_ok=True)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**(os.environ if env is None else env), "TMPDIR": str(temporary)},
        )

    def deploy(
        self,
        model: Path,
        *arguments: str | Path,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Runs `ghostdepth deploy` to its end."""
        return finish(self.start("--models", model, *arguments, config=config, env=env))

    def current(self) -> str:
        """The id of the version that runs."""
        return (self.prefix / "current").readlink().name

    def models(self) -> list[str]:
        """The models of the version that runs."""
        return sorted(path.name for path in (self.prefix / "current" / "models").iterdir())

    def files(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of every file in its home folder, the tests' own left out."""
        paths = [path for path in self.home.rglob("*") if path.is_file() and not path.is_symlink()]
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in paths
            if ".fake" not in path.parts
        }

    def measures(self) -> bool:
        """Whether the version that runs can say its version and measure its models."""
        script = (
            "cd ghostdepth/current && ./bench-depth --version && "
            "./bench-depth --model models/*.tflite --warmup 0 --min-runs 1 --min-time 0"
        )
        done = subprocess.run([*self._login, script], check=False, capture_output=True)
        return done.returncode == 0

    def fake(self, program: str, script: str) -> None:
        """Puts a program in front of the Pi's own of this name, until `restore`."""
        folder = self.home / ".fake"
        folder.mkdir(exist_ok=True)
        ending = f'PATH={self._path} exec {program} "$@"'
        (folder / program).write_text(f"#!/bin/sh\n{script}\n{ending}\n")
        (folder / program).chmod(0o755)

    def slow_down(self) -> None:
        """Has what comes after copying take time enough to be met, until `restore`."""
        for program in ("sha256sum", "cat"):
            self.fake(program, "sleep 0.3")
        (self.home / ".fake" / "pause").touch()

    def restore(self) -> None:
        """Ends what `fake` and `slow_down` began."""
        for path in (self.home / ".fake").glob("*"):
            path.unlink()


class Done:
    """How a deployment ended.

    Attributes:
        code: Exit code.
        out: Standard output.
        lines: Of standard error.
    """

    def __init__(self, code: int, out: str, lines: Sequence[str]) -> None:
        self.code, self.out, self.lines = code, out, list(lines)

    def error(self) -> str:
        """The one line that says what failed."""
        (line,) = [line for line in self.lines if line.startswith("ghostdepth: ")]
        assert line == self.lines[-1]
        return line

    def __repr__(self) -> str:
        return "\n".join([f"exit code {self.code}", *self.lines])


def wait_for(process: subprocess.Popen[str], text: str) -> list[str]:
    """Reads standard error up to a line with the text."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError(f"no line with {text!r}: {lines}")


def finish(process: subprocess.Popen[str], before: Sequence[str] = ()) -> Done:
    """Waits for the end; `before` are the lines that have been read."""
    out, err = process.communicate()
    return Done(process.returncode, out, [*before, *err.splitlines()])
