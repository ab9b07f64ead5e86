"""The parts of deploying that need no host: names, ssh's errors, the plan, sftp's language."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.ship.bundle import find_target
from ghostdepth_export.ship.deploy.copy import sftp_batch
from ghostdepth_export.ship.deploy.copy_plan import (
    CopyPlan,
    Entry,
    InstalledFiles,
    make_copy_plan,
    parse_listing,
    read_bundle,
    space_needed,
)
from ghostdepth_export.ship.deploy.ssh.errors import (
    LinkLostError,
    RemoteError,
    UnreachableError,
    explain,
)
from ghostdepth_export.ship.deploy.ssh.hosts import SshSettings, check_hosts
from ghostdepth_export.ship.deploy.ssh.system import SystemFacts, check_fit, parse_system_facts
from hypothesis import example, given, settings
from hypothesis import strategies as some

from tests.export.ship.deploy_here import SFTP_SERVER

FACTS = SystemFacts("aarch64", "3.9", 64, True, "/home/pi/ghostdepth", "", 10**9)


@pytest.mark.parametrize(
    "host", ["pi", "pi@raspberrypi.local", "a_b@10.0.0.7", "pi@fe80::1%eth0", "x.y-z"]
)
def test_hosts(host: str) -> None:
    check_hosts([host])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=x",
        "pi@-x",
        "a b",
        "pi@a\n",
        "pi@",
        "$(x)",
        "a;b",
        "ssh://pi@a",
        "pi@`x`",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(UserError, match="is not a host; write it like pi@"):
        check_hosts([host])


def test_a_host_that_is_there_twice_is_refused() -> None:
    with pytest.raises(UserError, match="b is named twice"):
        check_hosts(["a", "b", "b"])


def test_a_key_that_is_named_is_the_only_one_tried(tmp_path: Path) -> None:
    options = SshSettings(port=2222, identity=tmp_path / "key").options()
    assert options == ["-p", "2222", "-i", str(tmp_path / "key"), "-o", "IdentitiesOnly=yes"]


# As OpenSSH 9.2 says it.
CHANGED = """\
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
Add correct host key in /home/me/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/me/.ssh/known_hosts:7
Host key for raspberrypi.local has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN = """\
No ED25519 host key is known for raspberrypi.local and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("output", "kind", "line"),
    [
        (CHANGED, UserError, "/home/me/.ssh/known_hosts:7.*ssh-keygen -R raspberrypi.local"),
        (UNKNOWN, UserError, "not known here; compare and add it by `ssh pi@raspberrypi.local`"),
        ("pi@a: Permission denied (publickey,password).", UserError, "ssh-copy-id pi@raspberrypi"),
        ("ssh: Could not resolve hostname a: Name or service", UnreachableError, "no such host"),
        ("ssh: connect to host a port 22: Connection refused", UnreachableError, "nothing answers"),
        ("ssh: connect to host a port 22: Connection timed out", UnreachableError, "is it on"),
        ("ssh: connect to host a port 22: No route to host", UnreachableError, "is it on"),
        ("Connection timed out during banner exchange", UnreachableError, "is it on"),
        ("kex_exchange_identification: read: Connection reset by peer", LinkLostError, "was lost"),
        ("Connection closed by 10.0.0.7 port 22", LinkLostError, "was lost"),
        (
            "WARNING: UNPROTECTED PRIVATE KEY FILE",
            UserError,
            "others",
        ),
        ("Bad configuration option: foo", UserError, "ssh failed: Bad configuration option: foo"),
        ("", UserError, "ssh failed: ssh gives no reason"),
    ],
)
def test_an_error_of_ssh_becomes_one_line(output: str, kind: type[UserError], line: str) -> None:
    error = explain("pi@raspberrypi.local", output.splitlines(), connected=False)
    assert type(error) is kind
    with pytest.raises(UserError, match=line):
        raise error


def test_a_connection_that_was_there_is_lost_whatever_ssh_says() -> None:
    error = explain("a", ["Timeout, server a not responding."], connected=True)
    assert isinstance(error, LinkLostError)
    assert str(error) == "the connection was lost (Timeout, server a not responding.)"


@pytest.mark.parametrize(
    ("code", "output", "line"),
    [
        (13, ["install: wrong checksum: models/a"], "install: wrong checksum: models/a"),
        (1, ["no colon"], "prepare: no colon"),
        (1, [], "prepare: exit code 1"),
        (137, ["half a"], "prepare: ended by signal 9"),
        (11, ["rsync: write failed: x (28)", "rsync error: in file IO"], "rsync: write failed: x"),
    ],
)
def test_what_fails_on_the_pi_becomes_one_line(code: int, output: list[str], line: str) -> None:
    assert str(RemoteError("prepare", code, output)).startswith(line)


def test_facts() -> None:
    lines = ["machine aarch64", "python 3.9 64", "rsync ", "prefix /a b", "current x", "free 3"]
    assert parse_system_facts(lines) == SystemFacts("aarch64", "3.9", 64, False, "/a b", "x", 3072)
    with pytest.raises(UserError, match="answer is not understood"):
        parse_system_facts(lines[1:])


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (replace(FACTS, machine="armv7l"), "it is armv7l, and rpi4-bullseye is for aarch64"),
        (replace(FACTS, python="none", bits=0), "it has no python3"),
        (replace(FACTS, bits=32), "32-bit"),
        (replace(FACTS, python="3.11"), "it has Python 3.11, and rpi4-bullseye is for 3.9"),
    ],
)
def test_a_pi_that_the_bundle_is_not_for_is_refused(facts: SystemFacts, line: str) -> None:
    check_fit(FACTS, "rpi4-bullseye", find_target("rpi4-bullseye"))
    with pytest.raises(UserError, match=line):
        check_fit(facts, "rpi4-bullseye", find_target("rpi4-bullseye"))


ENTRIES = {"models/a": Entry("aa", 100), "wheels/b.whl": Entry("bb", 1000)}


def test_a_bare_pi_is_sent_everything() -> None:
    plan = make_copy_plan(ENTRIES, parse_listing("\n"), "id")
    assert plan.send == ["models/a", "wheels/b.whl"]
    assert plan.folders == ["incoming/id", "incoming/id/models", "incoming/id/wheels"]
    assert (plan.delete, plan.link, plan.resume, plan.to_send) == ([], [], [], 1100)
    folders = b"folder\tincoming/id\nfolder\tincoming/id/models\nfolder\tincoming/id/wheels\n"
    assert plan.instructions() == folders
    more = replace(plan, folders=[], delete=["a b"], link=[("old", "new")])
    assert more.instructions() == b"delete\ta b\nlink\told\tnew\n"
    assert space_needed(5000, plan) == 6100


def test_equal_files_are_linked_whatever_they_are_called() -> None:
    listing = parse_listing("bb  bundle/wheels/b.whl\naa  current/models/old name\n\n")
    plan = make_copy_plan(ENTRIES, listing, "id")
    assert plan.link == [
        ("current/models/old name", "incoming/id/models/a"),
        ("bundle/wheels/b.whl", "incoming/id/wheels/b.whl"),
    ]
    assert (plan.send, plan.to_send, space_needed(5000, plan)) == ([], 0, 0)


def test_an_interrupted_file_is_continued_and_a_damaged_one_is_sent_anew() -> None:
    text = "xx  incoming/id/models/a\nyy  incoming/id/wheels/b.whl\n\n"
    text += "40 incoming/id/models/a\n1000 incoming/id/wheels/b.whl\n"
    plan = make_copy_plan(ENTRIES, parse_listing(text), "id")
    assert plan.send == ["models/a", "wheels/b.whl"]
    assert plan.resume == ["models/a"]
    assert plan.delete == ["incoming/id/wheels/b.whl"]
    assert plan.to_send == 1060


def test_a_short_file_that_others_share_is_not_written_into() -> None:
    # No size: it has a second name.
    plan = make_copy_plan(ENTRIES, InstalledFiles({"incoming/id/models/a": "xx"}, {}), "id")
    assert plan.resume == [] and plan.delete == ["incoming/id/models/a"]


def test_what_has_arrived_whole_is_left_alone() -> None:
    listing = parse_listing("aa  incoming/id/models/a\nbb  incoming/id/wheels/b.whl\n\n")
    plan = make_copy_plan(ENTRIES, listing, "id")
    assert (plan.send, plan.link, plan.delete) == ([], [], [])


def test_a_bundle_is_every_file_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "models/empty").mkdir(parents=True)
    (tmp_path / "models/a").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-2
    assert read_bundle(tmp_path) == {"models/a": Entry(digest, 3)}


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\tb", "a\x1bb"])
def test_names_that_tools_would_misread_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match="a file name with such characters cannot be sent"):
        read_bundle(tmp_path)


NAMES = ["plain", "two words", 'a "quoted" one', "it's", "*?[a]", "#no comment", "ümläut", "$HOME"]


@pytest.mark.skipif(not SFTP_SERVER.exists(), reason="apt install openssh-sftp-server")
def test_sftp_takes_every_name_literally(tmp_path: Path) -> None:
    source, target = tmp_path / 'from "here"', tmp_path / "to 'there' *"
    for folder in (source, target):
        folder.mkdir()
    for name in NAMES:
        (source / name).write_text(f"content of {name}")
    (target / NAMES[0]).write_text("content ")
    (target / "other").write_text("")
    plan = CopyPlan([], [], [], NAMES, [NAMES[0]], 0)
    done = subprocess.run(
        ["sftp", "-D", str(SFTP_SERVER), "-b", "-"],
        input=sftp_batch(source, str(target), plan),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert (target / name).read_text() == f"content of {name}"


LISTED = some.text(some.characters(), max_size=8) | some.sampled_from(["incoming/i/a", "a\tb"])
DIGESTS = some.sampled_from(["0" * 64, "1" * 64]) | some.text(max_size=3)
SIZES = some.integers().map(str) | some.sampled_from(["1" * 400, "-1", "+1", "\u0663", ""])


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    some.lists(some.tuples(DIGESTS, LISTED), max_size=4),
    some.lists(some.tuples(SIZES, LISTED), max_size=4),
)
@example([("0" * 64, "\udcff")], [("1" * 400, "incoming/i/a")])
@example([("0" * 64, "a\u2028b\x0cc")], [("3", "incoming/i/a")])
def test_whatever_a_pi_lists_the_plan_is_sound_or_refused_in_a_line(
    sums: list[tuple[str, str]], sizes: list[tuple[str, str]]
) -> None:
    parts = [
        "".join(f"{a}{gap}{b}\n" for a, b in rows) for rows, gap in ((sums, "  "), (sizes, " "))
    ]
    entries = {name: Entry(digest * 64, 10) for name, digest in (("a", "0"), ("models/b", "1"))}
    try:
        plan = make_copy_plan(entries, parse_listing("\n".join(parts)), "i")
    except UserError as error:
        assert "list of its files is not understood" in str(error)
        return
    assert 0 <= plan.to_send <= 20
    fields = {"delete": 2, "folder": 2, "link": 3}
    for line in plan.instructions().decode().splitlines():
        assert len(line.split("\t")) == fields[line.split("\t")[0]]


@pytest.mark.parametrize("number", ["1" * 400, "-1", "1e9", "", "0x10", "\u0663", "1_000"])
@pytest.mark.parametrize("key", ["free ", "python 3.9 "])
def test_a_size_that_no_pi_has_is_refused_in_a_line(key: str, number: str) -> None:
    lines = ["machine aarch64", "python 3.9 64", "rsync ", "prefix /a b", "current x", "free 3"]
    lines = [f"{key}{number}" if line.startswith(key) else line for line in lines]
    with pytest.raises(UserError, match="answer is not understood"):
        parse_system_facts(lines)
