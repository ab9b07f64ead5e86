"""What goes wrong on the way to a Pi: one clear line, and the Pi keeps the version it had.

That the installer may be killed at any step is shown in tests/export/ship/test_bundle_killed.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arm64.conftest import missing
from tests.export.ship.bundle_pi import PYTHON

from .conftest import on_emulated_pi
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


def no_python(pi: Pi, model: Path) -> Done:
    pi.fake("python3", "exit 127")
    return pi.deploy(model)


def older_python(pi: Pi, model: Path) -> Done:
    pi.fake("python3", "echo 3.7 64; exit")
    return pi.deploy(model)


def too_little_space(pi: Pi, model: Path) -> Done:
    pi.fake("df", "echo Avail; echo 2000; exit")
    return pi.deploy(model)


REFUSALS: list[tuple[Attempt, str]] = [
    (wrong_host_key, "its host key is not the one that is known"),
    (unknown_host_key, "its host key is not known here; compare and add it by `ssh pi4`"),
    (refused_login, "the login was refused; `ssh-copy-id pi4` puts your key there"),
    (nothing_listens, "nothing answers on its ssh port"),
    (unknown_name, "no such host; check its name"),
    (cut_while_greeting, "the connection was lost"),
    (no_python, "it has no python3"),
    (older_python, f"it has Python 3.7; there are bundles for {PYTHON}, 3.13"),
    (too_little_space, "MB are needed at PREFIX, 2.0 MB are free"),
]


def said(words: str, pi: Pi) -> str:
    return words.replace("PREFIX", str(pi.prefix))


@pytest.mark.parametrize(("attempt", "words"), REFUSALS, ids=[one.__name__ for one, _ in REFUSALS])
def test_a_refusal_is_one_line_and_changes_nothing(pi: Pi, attempt: Attempt, words: str) -> None:
    before = pi.files()
    done = attempt(pi, pi.new_model())
    assert done.code == 2, done
    assert f"ghostdepth: {HOST}: " in done.error() and said(words, pi) in done.error()
    assert pi.files() == before


def cut_while_copying(pi: Pi, model: Path) -> Done:
    with proxy(pi.server.port, cut_after=600_000, cuts=3) as between:
        return pi.deploy(model, config=pi.server.client(between.port, HOST))


def cut_while_installing(pi: Pi, model: Path) -> Done:
    pi.slow_down()
    with proxy(pi.server.port) as between:
        process = pi.start("--models", model, config=pi.server.client(between.port, HOST))
        before = wait_for(process, "measuring once")
        between.close()
        return finish(process, before)


def sessions_killed(pi: Pi, model: Path) -> Done:
    pi.slow_down()
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


BREAKS: list[tuple[Attempt, str]] = [
    (cut_while_copying, "the connection was lost"),
    (cut_while_installing, "nothing answers on its ssh port"),
    (sessions_killed, "the connection was lost"),
    (full_disk, "the disk is full at PREFIX; make room there"),
    (damaged_each_time, "install: wrong checksum: models/"),
]


@pytest.mark.parametrize(("attempt", "words"), BREAKS, ids=[one.__name__ for one, _ in BREAKS])
def test_the_old_version_runs_on_and_the_next_attempt_succeeds(
    pi: Pi, attempt: Attempt, words: str
) -> None:
    old, model = pi.current(), pi.new_model()
    done = attempt(pi, model)
    assert done.code == 2, done
    assert f"ghostdepth: {HOST}: {said(words, pi)}" in done.error()
    assert_recovers(pi, old, model)


def interrupted(pi: Pi, model: Path, step: str, number: signal.Signals) -> Done:
    """Sends a signal to a deployment once it has come to a step."""
    pi.slow_down()
    with proxy(pi.server.port, pause=0.02) as between:
        process = pi.start("--models", model, config=pi.server.client(between.port, HOST))
        before = wait_for(process, f": {step}")
        process.send_signal(number)
        return finish(process, before)


@pytest.mark.parametrize("step", ["copying", "installing", "measuring once"])
def test_deploy_itself_may_be_killed(pi: Pi, step: str) -> None:
    old, model = pi.current(), pi.new_model(padding=8 << 20)
    assert interrupted(pi, model, step, signal.SIGKILL).code == -signal.SIGKILL
    assert_recovers(pi, old, model)


def ended(pi: Pi, step: str) -> None:
    old, model = pi.current(), pi.new_model(padding=8 << 20)
    done = interrupted(pi, model, step, signal.SIGINT)
    assert done.code == 130
    assert done.error() == "ghostdepth: interrupted; what ran on the Pis was ended"
    assert not list((pi.prefix / "versions").glob(".*"))
    assert_recovers(pi, old, model)


def test_ctrl_c_while_copying_ends_the_pi_as_well(pi: Pi) -> None:
    ended(pi, "copying")


@on_emulated_pi
@pytest.mark.timeout(1800)
def test_ctrl_c_while_measuring_ends_the_pi_as_well(pi: Pi) -> None:
    ended(pi, "measuring once")


@on_emulated_pi
@pytest.mark.timeout(1800)
def test_an_installer_killed_on_the_pi_leaves_the_old_version(pi: Pi) -> None:
    old, model = pi.current(), pi.new_model()
    # Of all that runs on the Pi only the installer sets this.
    pi.fake("mv", '[ -z "$PIP_CONFIG_FILE" ] || kill -s KILL 0')
    done = pi.deploy(model)
    assert f"ghostdepth: {HOST}: install: ended by signal 9" in done.error()
    assert_recovers(pi, old, model)


def assert_recovers(pi: Pi, old: str, model: Path) -> None:
    pi.restore()
    assert pi.current() == old
    assert pi.measures()
    done = pi.deploy(model)
    assert done.code == 0, done
    assert pi.current() != old and pi.models() == [model.name]
