"""What goes wrong on the way to a Pi: one clear line, and the Pi keeps the version it had."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arm64.conftest import missing

from .pi import HOST, Done, Pi, finish, wait_for
from .ssh_server import free_port, make_key, proxy

Attempt = Callable[[Pi, Path], Done]


def wrong_host_key(pi: Pi, model: Path) -> Done:
    other = pi.folder / "other_key"
    make_key(other)
    pi.server.trust(other.with_suffix(".pub"))
    try:
        return pi.deploy(model)
    finally:
        pi.server.trust(pi.folder / "host_key.pub")


def unknown_host_key(pi: Pi, model: Path) -> Done:
    known = pi.folder / "known_hosts"
    known.write_text("")
    try:
        return pi.deploy(model)
    finally:
        pi.server.trust(pi.folder / "host_key.pub")


def refused_login(pi: Pi, model: Path) -> Done:
    make_key(pi.folder / "stranger")
    config = pi.server.client()
    config.write_text(config.read_text().replace("user_key", "stranger"))
    return pi.deploy(model, config=config)


def nothing_listens(pi: Pi, model: Path) -> Done:
    return pi.deploy(model, config=pi.server.client(free_port(), HOST))


def unknown_name(pi: Pi, model: Path) -> Done:
    config = pi.server.client()
    config.write_text(config.read_text().replace("127.0.0.1", "no-such-host.invalid"))
    return pi.deploy(model, config=config)


def cut_while_greeting(pi: Pi, model: Path) -> Done:
    with proxy(pi.server.port, cut_after=1500, cuts=3) as between:
        return pi.deploy(model, config=pi.server.client(between.port, HOST))


def other_architecture(pi: Pi, model: Path) -> Done:
    pi.fake("uname", "echo armv7l; exit")
    return pi.deploy(model)


def system_of_32_bits(pi: Pi, model: Path) -> Done:
    pi.fake("python3", "echo 3.9 32; exit")
    return pi.deploy(model)


def no_python(pi: Pi, model: Path) -> Done:
    pi.fake("python3", "exit 127")
    return pi.deploy(model)


def older_python(pi: Pi, model: Path) -> Done:
    pi.fake("python3", "echo 3.7 64; exit")
    return pi.deploy(model)


def other_python_than_the_target(pi: Pi, model: Path) -> Done:
    return pi.deploy(model, "--target", "rpi4-trixie")


def too_little_space(pi: Pi, model: Path) -> Done:
    pi.fake("df", "echo Avail; echo 2000; exit")
    return pi.deploy(model)


def login_that_talks(pi: Pi, model: Path) -> Done:
    pi.fake("sh", 'echo "Welcome, friend"')
    return pi.deploy(model)


REFUSALS: list[tuple[Attempt, str]] = [
    (wrong_host_key, "its host key is not the one that is known"),
    (unknown_host_key, "its host key is not known here; compare and add it by `ssh pi4`"),
    (refused_login, "the login was refused; `ssh-copy-id pi4` puts your key there"),
    (nothing_listens, "nothing answers on its ssh port"),
    (unknown_name, "no such host; check its name"),
    (cut_while_greeting, "the connection was lost"),
    (other_architecture, "it is armv7l, and rpi4-bullseye is for aarch64"),
    (system_of_32_bits, "its Raspberry Pi OS is the 32-bit one"),
    (no_python, "it has no python3"),
    (older_python, "it has Python 3.7; there are bundles for 3.9, 3.11, 3.13"),
    (other_python_than_the_target, "it has Python 3.9, and rpi4-trixie is for 3.13"),
    (too_little_space, "MB are needed at /home/pi/ghostdepth, 2 MB are free"),
    (login_that_talks, "its login prints 'Welcome, friend'"),
]


@pytest.mark.parametrize(("attempt", "words"), REFUSALS, ids=[one.__name__ for one, _ in REFUSALS])
def test_a_refusal_is_one_line_and_changes_nothing(pi: Pi, attempt: Attempt, words: str) -> None:
    before = pi.files()
    done = attempt(pi, pi.new_model())
    assert done.code == 2, done
    assert f"ghostdepth: {HOST}: " in done.error() and words in done.error()
    assert pi.files() == before


def cut_while_copying(pi: Pi, model: Path) -> Done:
    with proxy(pi.server.port, cut_after=600_000, cuts=3) as between:
        return pi.deploy(model, config=pi.server.client(between.port, HOST))


def cut_while_installing(pi: Pi, model: Path) -> Done:
    with proxy(pi.server.port) as between:
        process = pi.start("--models", model, config=pi.server.client(between.port, HOST))
        before = wait_for(process, "measuring once")
        between.close()
        return finish(process, before)


def sessions_killed(pi: Pi, model: Path) -> Done:
    process = pi.start("--models", model)
    lines: list[str] = []
    for _ in range(3):
        lines += wait_for(process, ": installing")
        pi.server.kill_sessions()
    return finish(process, lines)


def full_disk(pi: Pi, model: Path) -> Done:
    if not pi.home.is_mount():
        missing("no disk can be mounted here to be filled (needs root)")
    pi.fake("df", "rm ~/.fake/df; echo Avail; echo 9000000; exit")
    ballast = pi.home / "ballast"
    with ballast.open("wb") as stream:
        status = os.statvfs(pi.home)
        os.posix_fallocate(stream.fileno(), 0, status.f_bavail * status.f_frsize - 2_000_000)
    try:
        return pi.deploy(model)
    finally:
        ballast.unlink()


def damaged_each_time(pi: Pi, model: Path) -> Done:
    damage = 'for file in incoming/*/models/*; do printf x >> "$file"; done'
    pi.fake("setsid", f'case "$*" in *install*) {damage};; esac')
    return pi.deploy(model)


def killed_at(program: str) -> Attempt:
    def attempt(pi: Pi, model: Path) -> Done:
        # Of all that runs on the Pi only the installer sets this.
        pi.fake(program, '[ -z "$PIP_CONFIG_FILE" ] || kill -s KILL 0')
        return pi.deploy(model)

    attempt.__name__ = f"installer_killed_at_{program}"
    return attempt


BREAKS: list[tuple[Attempt, str]] = [
    (cut_while_copying, "the connection was lost"),
    (cut_while_installing, "nothing answers on its ssh port"),
    (sessions_killed, "the connection was lost"),
    (full_disk, "the disk is full at /home/pi/ghostdepth; make room there"),
    (damaged_each_time, "install: wrong checksum: models/"),
    (killed_at("sha256sum"), "install: ended by signal 9"),
    (killed_at("cp"), "install: ended by signal 9"),
    (killed_at("sync"), "install: ended by signal 9"),
    (killed_at("ln"), "install: ended by signal 9"),
    (killed_at("mv"), "install: ended by signal 9"),
]


@pytest.mark.parametrize(("attempt", "words"), BREAKS, ids=[one.__name__ for one, _ in BREAKS])
def test_the_old_version_runs_on_and_the_next_attempt_succeeds(
    pi: Pi, attempt: Attempt, words: str
) -> None:
    old, model = pi.current(), pi.new_model()
    done = attempt(pi, model)
    assert done.code == 2, done
    assert f"ghostdepth: {HOST}: {words}" in done.error()
    assert_recovers(pi, old, model)


@pytest.mark.parametrize("step", ["copying", "installing", "measuring once"])
def test_deploy_itself_may_be_killed(pi: Pi, step: str) -> None:
    old, model = pi.current(), pi.new_model()
    process = pi.start("--models", model)
    wait_for(process, f": {step}")
    process.kill()
    process.communicate()
    assert_recovers(pi, old, model)


@pytest.mark.parametrize("step", ["copying", "measuring once"])
def test_ctrl_c_ends_the_pi_as_well(pi: Pi, step: str) -> None:
    old, model = pi.current(), pi.new_model(padding=8 << 20)
    process = pi.start("--models", model)
    before = wait_for(process, f": {step}")
    process.send_signal(signal.SIGINT)
    done = finish(process, before)
    assert done.code == 130
    assert done.error() == "ghostdepth: interrupted; what ran on the Pis was ended"
    assert not list((pi.prefix / "versions").glob(".*"))
    assert_recovers(pi, old, model)


def assert_recovers(pi: Pi, old: str, model: Path) -> None:
    assert pi.current() == old
    pi.restore()
    assert pi.measures()
    done = pi.deploy(model)
    assert done.code == 0, done
    assert pi.current() != old and pi.models() == [model.name]
