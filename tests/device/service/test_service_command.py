"""`bench-depth service`, with a stand-in for systemctl."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from bench_depth.commands.service import main
from bench_depth.core.errors import INTERRUPTED
from bench_depth.live.web.access import TOKEN_VARIABLE, Access
from bench_depth.service import manager

pytestmark = pytest.mark.same_everywhere


class Machine:
    """A home folder, and a log of what systemctl was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unit = folder / "config/systemd/user/bench-depth.service"
        self.secrets = folder / "config/bench-depth/service.env"

    def asked(self) -> list[str]:
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def refuse(self, word: str) -> None:
        (self.folder / "refused").write_text(word)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "journalctl"):
        (programs / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/log"\n'
            f'cat "{tmp_path}/{name}.says" 2>/dev/null\n'
            f'case " $* " in *" $(cat "{tmp_path}/refused" 2>/dev/null || echo none) "*)\n'
            'echo "Failed to connect to bus" >&2; exit 1;; esac\n'
        )
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setattr(manager, "_BOOTED", tmp_path)
    monkeypatch.setattr(manager, "_SYSTEM_FILES", tmp_path / "etc")
    monkeypatch.setattr(manager, "_WATCHED_S", 0)
    return Machine(tmp_path)


def token_of(secrets: Path) -> str:
    found = re.search(f'^{TOKEN_VARIABLE}="(.*)"$', secrets.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_install_writes_starts_and_remove_leaves_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(machine.folder.rglob("*"))
    assert main(["install", "--host", "0.0.0.0", "--size", "640x480"]) == 0
    out = capsys.readouterr().out
    token = token_of(machine.secrets)
    assert f".local:8080/?token={token}" in out
    assert machine.secrets.stat().st_mode & 0o777 == 0o600
    assert machine.secrets.parent.stat().st_mode & 0o777 == 0o700
    text = machine.unit.read_text()
    assert token not in text
    assert f'":{sys.executable}" "-m" "bench_depth" "live" "--host" "0.0.0.0"' in text
    assert machine.asked() == [
        f"systemctl --user {words}"
        for words in (
            "daemon-reload",
            "daemon-reload",
            "enable bench-depth.service",
            "restart bench-depth.service",
            "is-active bench-depth.service",
        )
    ]
    # A bookmark of the page stays good.
    assert main(["install", "--host", "0.0.0.0"]) == 0
    assert token_of(machine.secrets) == token
    assert main(["status"]) == 0
    assert f"?token={token}" in capsys.readouterr().out
    assert main(["logs", "--follow"]) == 0
    assert machine.asked()[-1].endswith("--user-unit bench-depth.service --follow")
    assert main(["remove"]) == 0
    left = {path for path in machine.folder.rglob("*") if path.is_file()}
    assert left - set(before) == {machine.folder / "log"}


def test_a_refusal_leaves_nothing_and_is_one_line(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("daemon-reload", "enable", "restart"):
        machine.refuse(word)
        assert main(["install"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert word in line
        assert "Failed to connect to bus" in line
        assert not machine.unit.exists()
        assert not machine.secrets.parent.exists()


def test_ctrl_c_while_systemd_is_asked_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = manager.Service._ask

    def interrupted(self: manager.Service, *words: str) -> None:
        if "enable" in words:
            raise KeyboardInterrupt
        ask(self, *words)

    monkeypatch.setattr(manager.Service, "_ask", interrupted)
    assert main(["install"]) == INTERRUPTED
    assert not machine.unit.exists()
    assert not machine.secrets.parent.exists()


@pytest.mark.parametrize(
    ("state", "printed", "reason"),
    [
        ("active", "open http://127.0.0.1:8080/", None),
        ("inactive", "3 frames", None),
        ("activating", "bench-depth: no camera found; plug one in", "no camera found; plug one in"),
        ("failed", "cannot reach the MQTT host x: Refused", "cannot reach the MQTT host x: Ref"),
        ("activating", "", "its log cannot be read here"),
    ],
)
def test_install_tells_why_the_service_fails_and_leaves_it_installed(
    machine: Machine,
    state: str,
    printed: str,
    reason: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (machine.folder / "systemctl.says").write_text(state)
    (machine.folder / "journalctl.says").write_text(printed)
    assert main(["install"]) == (0 if reason is None else 3)
    said = capsys.readouterr()
    assert "open http://127.0.0.1:8080/" in said.out
    assert machine.unit.exists()
    if reason is None:
        assert said.err == ""
    else:
        (line,) = said.err.splitlines()
        assert f"fails: {reason}" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status"], "there is no service of this user"),
        (["remove", "--system"], "--system needs root" if os.geteuid() else "of the system"),
        (["install", "--record", "x"], "leave out --record"),
        (["install", "--port", "0"], "--port 0"),
        (["install", "--port", "65536"], "there is no port 65536"),
        (["install", "--port", "-1"], "there is no port -1"),
        (["install", "--threads", "0"], "--threads 0"),
        (["install", "--normalize", "x"], "--normalize x"),
        (["install", "--", "--zone", "door"], "door"),
        (["install", "--model", "ghostdepth-x"], "there is no model"),
        (["install", "--", "--source", "nowhere.mp4"], "nowhere.mp4 does not exist"),
    ],
)
def test_wrong_use_is_one_line(
    machine: Machine, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert machine.asked() == []


def test_without_systemd_the_unit_can_still_be_printed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(manager, "_BOOTED", machine.folder / "none")
    assert main(["install"]) == 2
    assert "systemd does not run here" in capsys.readouterr().err
    assert main(["install", "--print", "--system"]) == 0
    assert "DynamicUser=yes" in capsys.readouterr().out


def test_paths_become_absolute_and_a_bundle_s_survive_the_next_deployment(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix, place = machine.folder / "gd", machine.folder / "gd/versions/1"
    env = prefix / "envs/key"
    for folder in (place / "photos", env):
        folder.mkdir(parents=True)
    (place / "m.tflite").touch()
    (place / "bench-depth").touch()
    (env / ".complete").touch()
    (prefix / "current").symlink_to("versions/1")
    monkeypatch.setattr(sys, "prefix", str(env))
    monkeypatch.chdir(prefix / "current")
    words = ["--model", "m.tflite", "--source=photos"]
    assert main(["install", "--print", "--system", *words]) == 0
    text = capsys.readouterr().out
    current = prefix / "current"
    line = f'":{current}/bench-depth" "live" "--model" "{current}/m.tflite"'
    assert f'{line} "--source={current}/photos"' in text
    # pytest's folder is a temporary one, which the service does not see by itself.
    assert f'BindReadOnlyPaths="{prefix}"\n' in text


@pytest.mark.parametrize("token", ["short", "0123456789abcde", "0123456789 abcdef", "a" * 201])
def test_a_token_that_live_would_refuse_is_not_installed(
    token: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    assert main(["install"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "16 to 200 letters" in line
    assert machine.asked() == []


def test_the_token_of_the_environment_is_taken_and_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "0123456789abcdef")
    access = Access.for_address("0.0.0.0")
    assert (access.token, access.printed) == ("0123456789abcdef", False)
    assert TOKEN_VARIABLE not in os.environ
