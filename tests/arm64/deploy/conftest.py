"""One Pi behind one ssh server for all tests of deploying; its packages are kept.

Most faults of deploying are this machine's as well: there the Pi is a login of this machine, which
answers at once. What only a Pi's system can show runs on the emulated one.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ghostdepth_export.pi4.emulator import Machine

from tests.arm64.conftest import missing, need

from . import workstation
from .pi import Pi
from .ssh_server import SSHD

DISK_MB = 300
MODEL_BYTES = 3_050_000
# Of the emulated Pi, behind the programs that tests put in front of its own.
GUEST_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@pytest.fixture(scope="session")
def ssh_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("ssh", "sftp", "ssh-keygen", "rsync"):
        need(program, "openssh-client" if program != "rsync" else "rsync")
    if not Path(SSHD).exists():
        missing(f"{SSHD} is not installed: apt install openssh-server")
    return tmp_path_factory.mktemp("ssh")


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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


@contextmanager
def served(pi: Pi) -> Iterator[Pi]:
    """The Pi, once a first version is installed."""
    try:
        first = pi.deploy(pi.new_model())
        assert first.code == 0, first
        yield pi
    finally:
        pi.server.close()


@pytest.fixture(scope="session")
def here(ssh_folder: Path, disk: Path) -> Iterator[Pi]:
    """This machine."""
    programs = ssh_folder / "programs"
    login, path = workstation.login(programs, disk)
    command = f"from tests.arm64.deploy.workstation import main; main({str(programs)!r})"
    model = random.Random(0).randbytes(MODEL_BYTES)
    with served(Pi(ssh_folder, disk, login, path, model, command)) as pi:
        yield pi


@pytest.fixture(scope="session")
def emulated(
    bullseye_root: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory, ssh_folder: Path
) -> Iterator[Pi]:
    """A Pi with Debian 11."""
    home, folder = tmp_path_factory.mktemp("home"), ssh_folder / "emulated"
    folder.mkdir()
    shell = Machine(bullseye_root, home=home).argv(
        ["sh", "-c", "COMMAND"], env={"PATH": f"/home/pi/.fake:{GUEST_PATH}"}
    )
    assert shell.pop() == "COMMAND"
    model = (exported / "ghostdepth-s-int8.tflite").read_bytes()
    with served(Pi(folder, home, shell, GUEST_PATH, model)) as pi:
        yield pi


@pytest.fixture
def pi(request: pytest.FixtureRequest) -> Iterator[Pi]:
    """The Pi with a version that runs: this machine, or what a test names by `on_emulated_pi`."""
    made: Pi = request.getfixturevalue(getattr(request, "param", "here"))
    yield made
    made.restore()


on_emulated_pi = pytest.mark.parametrize("pi", ["emulated"], indirect=True)
