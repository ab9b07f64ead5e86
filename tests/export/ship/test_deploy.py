"""Deploying to hosts that are this machine: all of deploy and remote.sh, but no network."""

from __future__ import annotations

import io
import itertools
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.report.table import render
from bench_depth.results.records import load
from ghostdepth_export.host.screen import Screen
from ghostdepth_export.ship.bundle.targets import TARGETS
from ghostdepth_export.ship.deploy import (
    DeployOptions,
    SshSettings,
    deploy,
    deployment,
    dry_run,
    roll_back,
)
from ghostdepth_export.ship.deploy.reporter import Reporter
from ghostdepth_export.ship.deploy.ssh import connection
from ghostdepth_export.ship.deploy.ssh.answers import Limits, lines

from tests.export.conftest import Command
from tests.export.ship.deploy_here import HERE, SFTP_SERVER, Homes

PREFIX = "it's my; ünïcode * folder"


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Homes:
    made = Homes(tmp_path)
    monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}")
    monkeypatch.setattr("ghostdepth_export.ship.deploy.fleet.build_bundle", made.build_bundle)
    monkeypatch.setattr(deployment, "_PAUSE_SECONDS", 0)
    for name in list(TARGETS):
        monkeypatch.delitem(TARGETS, name)
    monkeypatch.setitem(TARGETS, "here", HERE)
    return made


@pytest.fixture
def options(tmp_path: Path) -> DeployOptions:
    model = tmp_path / "my 'first' model.tflite"
    model.write_bytes(b"weights" * 1000)
    return DeployOptions(models=[model], prefix=PREFIX, results=tmp_path / "fetched")


@pytest.mark.parametrize("program", ["rsync", "sftp"])
def test_names_with_every_kind_of_character_arrive(
    homes: Homes, options: DeployOptions, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program == "sftp":
        if not SFTP_SERVER.exists():
            pytest.skip("no sftp-server here: apt install openssh-sftp-server")
        found = shutil.which
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "rsync" else found(name))
    elif shutil.which("rsync") is None:
        pytest.skip("no rsync here")
    assert deploy(["pi@one"], options) == 0
    current = homes.home("pi@one") / PREFIX / "current"
    assert (current / "models" / options.models[0].name).read_bytes() == b"weights" * 1000
    asked = (homes.home("pi@one") / "asked").read_text()
    assert f"--model {current}/models/{options.models[0].name}" in asked


def test_the_results_are_fetched_and_shown(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(["pi@one"], options) == 0
    results = load(options.results / "pi@one" / "results.json")
    assert results.models[0].invoke.statistics.median == pytest.approx(20)
    shown = capsys.readouterr()
    assert shown.out == f"pi@one\n{render(results)}\n"
    assert all(line.startswith("pi@one: ") for line in shown.err.splitlines())


def test_of_several_hosts_a_comparison_is_shown(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(["pi@one", "pi@two"], options) == 0
    *_, heads, row = capsys.readouterr().out.splitlines()
    assert heads.split() == ["median", "ms", "pi@one", "pi@two"]
    assert row.split()[-2:] == ["20.0", "20.0"]


def test_what_is_there_is_not_sent(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(["pi@one"], options) == 0
    capsys.readouterr()
    other = options.models[0].with_name("other.tflite")
    other.write_bytes(b"other")
    assert deploy(["pi@one"], replace(options, models=[other])) == 0
    assert "pi@one: sending 3 files, 0.0 MB" in capsys.readouterr().err
    assert not (homes.home("pi@one") / PREFIX / "incoming").exists()


def test_a_dry_run_writes_nothing(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run(["pi@one"], options) == 0
    out = capsys.readouterr().out
    assert f"pi@one: would send models/{options.models[0].name}\n" in out
    assert "5 files, 0.0 MB to send" in out and "which is nothing yet" in out
    assert list(homes.home("pi@one").iterdir()) == []
    assert not options.results.exists()


def test_rollback_runs_the_installer_of_the_current_version(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(["pi@one"], options) == 0
    assert roll_back(["pi@one"], options) == 0
    assert "pi@one: rolled back to before" in capsys.readouterr().err


def test_rollback_where_nothing_is_installed_is_one_line(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert roll_back(["pi@one"], options) == 2
    assert "ghostdepth: pi@one: rollback: nothing is installed in" in capsys.readouterr().err


def test_a_model_that_fails_on_the_pi_is_its_exit_code(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    homes.bench_code = 3
    assert deploy(["pi@one"], options) == MODEL_FAILED
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "ghostdepth: pi@one: bench-depth: measured"
    # What was measured before it failed is kept.
    assert (options.results / "pi@one" / "results.json").exists()


def test_a_host_that_fails_does_not_stop_the_others(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    homes.says("pi@two", "pi@two: Permission denied (publickey).\n")
    assert deploy(["pi@two", "pi@one"], options) == 2
    shown = capsys.readouterr()
    (line,) = [line for line in shown.err.splitlines() if line.startswith("ghostdepth: ")]
    assert line.startswith("ghostdepth: pi@two: the login was refused; `ssh-copy-id pi@two`")
    assert shown.out.startswith("pi@one\n")


def test_a_connection_that_breaks_off_is_tried_three_times(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    homes.says("pi@one", "Connection closed by 10.0.0.7 port 22\n")
    assert deploy(["pi@one"], options) == 2
    lines = capsys.readouterr().err.splitlines()
    lost = "pi@one: the connection was lost (Connection closed by 10.0.0.7 port 22)"
    assert [line for line in lines if "lost" in line] == [
        *[f"{lost}; trying again"] * 2,
        f"ghostdepth: {lost}",
    ]


def test_what_a_login_prints_is_not_taken_for_an_answer(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    ssh = homes.programs / "ssh"
    ssh.write_text(ssh.read_text().replace("\nexec sh -c", "\necho Hello\nexec sh -c"))
    assert deploy(["pi@one"], options) == 2
    assert "its login prints 'Hello' where only answers may be" in capsys.readouterr().err


def answers(homes: Homes, command: str) -> None:
    """Has the host answer everything with what a command prints."""
    ssh = homes.programs / "ssh"
    ssh.write_text(ssh.read_text().replace('exec sh -c "$*"', command))


@pytest.mark.parametrize(
    ("silence", "total", "command", "line"),
    [
        (0.4, 100, "exec sleep 1000", "it has not answered for 0.4 s"),
        (100, 0.8, "while :; do echo working; sleep 0.1; done", "did not end within 0.8 s"),
        (100, 100, "exec cat /dev/zero", "its answer is longer than 65536 bytes"),
        (100, 100, "exec yes", "its answer is longer than 65536 bytes"),
        (100, 100, "echo ready", "its login prints '' where only answers may be"),
        (100, 100, "echo ghostdepth; echo ready", "the Pi's answer is not understood"),
        (100, 100, "echo No logins; exit 1", "pi@one: its login runs no command: No logins"),
        (100, 100, "exit 1", "pi@one: its login runs no command: exit code 1"),
    ],
)
def test_a_pi_that_answers_nothing_or_something_else_or_without_end(
    homes: Homes,
    options: DeployOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    silence: float,
    total: float,
    command: str,
    line: str,
) -> None:
    monkeypatch.setattr(connection, "FACTS", Limits(silence, total, bytes=1 << 16))
    answers(homes, command)
    assert deploy(["pi@one"], options) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("verb", "silence", "command", "line"),
    [
        ("list", 100, "cat /dev/zero", "its answer is longer than 100000 bytes"),
        ("list", 1, "exec sleep 1000", "it has not answered for 1 s"),
        ("list", 100, "echo; echo x y", "the Pi's list of its files is not understood"),
        ("fetch", 100, "printf '\\377'", "/results.json: byte 0 is not UTF-8"),
        ("fetch", 100, "echo '[]'", "/results.json has schema None"),
        ("install", 100, "yes", "its answer is longer than 4194304 bytes"),
        ("install", 100, "exit 11", "ghostdepth: pi@one: install: exit code 11"),
    ],
)
def test_an_answer_in_the_middle_is_limited_as_well(
    homes: Homes,
    options: DeployOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    silence: float,
    command: str,
    line: str,
) -> None:
    monkeypatch.setattr(connection, "SHORT", Limits(silence, 100, bytes=100_000))
    case = f'case "$*" in *" {verb} "*) echo ghostdepth; {command}; exit ;; esac; exec sh -c "$*"'
    answers(homes, case)
    assert deploy(["pi@one"], options) == 2
    shown = capsys.readouterr().err.splitlines()[-1]
    assert line in shown
    assert ".partial" not in shown
    assert not options.results.exists()


def test_a_disk_without_space_is_told_in_megabytes(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    # df aligns its figures to the right of "Avail".
    df = homes.programs / "df"
    df.write_text("#!/bin/sh\necho Avail\necho '    3'\n")
    df.chmod(0o755)
    assert deploy(["pi@one"], options) == 2
    shown = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"0\.\d MB are needed at .*, 0\.0 MB are free; make room there", shown)


def test_lines_without_end_come_in_pieces() -> None:
    found = list(lines(itertools.chain([b"a\n\rb"], itertools.repeat(b"c" * 4096, 100), [b"\nd"])))
    assert (found[0], found[-1]) == ("a", "d")
    assert "".join(found) == "ab" + "c" * 409_600 + "d"
    assert max(map(len, found)) <= 3 * 4096


ODD_PREFIXES = ["a\nb", 'a "b"', "$(touch x)", "${HOME}", "`touch x`", "a\\b", "a:b", "a\x1b[2J"]
ODD_PREFIXES += ["a'''b", "a\u202eb", "a\udcffb", "a\tb", "\n", "a\0b"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"models": [Path("gone.tflite")]}, r"gone\.tflite is not a file"),
        *[({"prefix": text}, "choose another folder") for text in ODD_PREFIXES],
        *[({"prefix": text}, "choose another folder") for text in ("", "/", ".", "../..")],
        ({"settings": SshSettings(identity=Path("gone"))}, "--identity .*gone is not a file"),
        ({"target": "pi9"}, "unknown target 'pi9'; choose from here"),
    ],
)
def test_a_mistake_is_told_before_any_host_is_asked(
    homes: Homes, options: DeployOptions, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        deploy(["pi@one"], replace(options, **changes))
    assert not homes.home("pi@one").exists()


@pytest.mark.parametrize(
    "prefix", ["it's *[ä] & 50%; #-x", "-rf", "a'b' c", "x;touch y", "~", "a/../b", "(a)|b>c"]
)
def test_a_prefix_of_other_odd_characters_is_one_folder(
    homes: Homes, options: DeployOptions, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(["pi@one"], replace(options, prefix=prefix)) == 0, capsys.readouterr().err
    home = homes.home("pi@one")
    assert (home / prefix / "current" / "models").is_dir()
    assert {path.name for path in home.iterdir()} <= {*prefix.split("/"), "asked"}


def test_a_prefix_that_cannot_be_made_is_one_line(
    homes: Homes, options: DeployOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(["pi@one"], replace(options, prefix="/proc/ghostdepth")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("ghostdepth: pi@one: mkdir: cannot create directory")


def test_on_a_terminal_each_host_has_a_line() -> None:
    screen = io.StringIO()
    console = Screen(file=screen, force_terminal=True, width=80)
    with Reporter(["pi@one", "pi@[two]"], console) as reporter:
        reporter.step("pi@one", "copying [x]", 0.5)
        reporter.log("pi@[two]", "results are in [here]")
        reporter.log("pi@one", "error: \033]0;owned\007")
    assert "pi@[two]: results are in [here]\n" in screen.getvalue()
    assert "copying [x]" in screen.getvalue()
    assert "pi@one: error: \\x1b]0;owned\\x07\n" in screen.getvalue()


@pytest.mark.parametrize("arguments", [[], ["--rollback", "--models", "a.tflite"]])
def test_either_models_or_rollback(arguments: list[str], command: Command) -> None:
    error = command("deploy", "pi@one", *arguments, code=2).err
    assert error == "ghostdepth: give either --models FILE or --rollback\n"
