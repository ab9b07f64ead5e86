"""One emulated Pi behind one ssh server for all tests of deploying; its packages are kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arm64.conftest import missing, need

from .pi import Pi
from .ssh_server import SSHD

DISK_MB = 1500


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where possible a small disk of its own, so that it can be filled."""
    folder = tmp_path_factory.mktemp("home")
    if os.geteuid() != 0:
        yield folder
        return
    options = f"size={DISK_MB}m,mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "ghostdepth-test", folder]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="session")
def machine(
    home: Path,
    bullseye_root: Path,
    exported: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pi]:
    """The Pi; a first version is installed."""
    for program in ("ssh", "sftp", "ssh-keygen", "rsync"):
        need(program, "openssh-client" if program != "rsync" else "rsync")
    if not Path(SSHD).exists():
        missing(f"{SSHD} is not installed: apt install openssh-server")
    made = Pi(
        tmp_path_factory.mktemp("ssh"),
        home,
        bullseye_root,
        exported / "ghostdepth-s-int8.tflite",
    )
    try:
        first = made.deploy(made.new_model())
        assert first.code == 0, first
        yield made
    finally:
        made.server.close()


@pytest.fixture
def pi(machine: Pi) -> Iterator[Pi]:
    """The Pi with a version that runs."""
    yield machine
    machine.restore()
