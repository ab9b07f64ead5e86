"""Wheels for bundles: the cache, the index that they come from, and the committed lists."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.host.wheels import WheelTarget
from ghostdepth_export.ship.bundle.targets import TARGETS, find_target, lock_file
from ghostdepth_export.ship.bundle.wheelhouse import fetch, sha256

from tests.export.ship.bundle_pi import make_wheel

SYSTEM = WheelTarget("3.9", 31)


class Index:
    """A package index on this machine that has bench-depth 1.0 and 2.0."""

    def __init__(self, folder: Path) -> None:
        self.wheels: list[Path] = []
        page = folder / "simple" / "bench-depth"
        page.mkdir(parents=True)
        for version in ("1.0", "2.0"):
            self.wheels.append(make_wheel(page, version))
        (page / "index.html").write_text(
            "".join(f'<a href="{w.name}">{w.name}</a>' for w in self.wheels)
        )
        self.asked: list[str] = []
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                index.asked.append(self.path)

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"

    def line(self, number: int) -> str:
        return f"bench-depth=={number}.0 --hash=sha256:{sha256(self.wheels[number - 1])}"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    index = Index(tmp_path / "index")
    environment = {
        "GHOSTDEPTH_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": index.url,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "NO_PROXY": "127.0.0.1",
    }
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    thread = threading.Thread(target=index.server.serve_forever)
    thread.start()
    yield index
    index.server.shutdown()
    index.server.server_close()
    thread.join()


def test_a_second_fetch_asks_nobody(index: Index) -> None:
    (first,) = fetch([index.line(1)], SYSTEM, "toy")
    assert first.read_bytes() == index.wheels[0].read_bytes()
    assert first.name == index.wheels[0].name
    asked = len(index.asked)
    assert asked > 0
    assert fetch([index.line(1)], SYSTEM, "toy") == [first]
    assert len(index.asked) == asked


def test_only_what_is_missing_is_downloaded(index: Index) -> None:
    fetch([index.line(1)], SYSTEM, "toy")
    index.asked.clear()
    found = fetch([index.line(2)], SYSTEM, "toy")
    assert [path.name for path in found] == [index.wheels[1].name]
    assert not [path for path in index.asked if "1.0" in path]


def test_a_damaged_file_in_the_cache_is_downloaded_again(index: Index) -> None:
    (first,) = fetch([index.line(1)], SYSTEM, "toy")
    first.write_bytes(b"bits rot")
    (again,) = fetch([index.line(1)], SYSTEM, "toy")
    assert again.read_bytes() == index.wheels[0].read_bytes()


def test_a_wheel_with_another_checksum_is_refused(index: Index, tmp_path: Path) -> None:
    line = index.line(1)
    index.wheels[0].write_bytes(index.wheels[0].read_bytes() + b"\0")
    with pytest.raises(UserError, match="cannot download the wheels for toy"):
        fetch([line], SYSTEM, "toy")
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_an_index_that_cannot_be_reached_is_one_line(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")
    with pytest.raises(UserError, match=r"is the package index reachable\?.*bench-depth==1\.0"):
        fetch([index.line(1)], SYSTEM, "toy")


def test_a_cache_that_cannot_be_written_is_one_line(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set GHOSTDEPTH_CACHE"):
        fetch([index.line(1)], SYSTEM, "toy")


def test_an_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="unknown target 'pi9'; choose from rpi4-bullseye"):
        find_target("pi9")


@pytest.mark.parametrize("name", TARGETS)
def test_the_committed_lists_hold_what_a_target_wants(name: str) -> None:
    target = TARGETS[name]
    versions: dict[str, str] = {}
    for suffix, runtime in target.runtimes.items():
        pinned = {}
        for line in lock_file(name, suffix).read_text().splitlines():
            match = re.fullmatch(r"([a-z0-9._-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
            assert match is not None, line
            pinned[match[1]] = match[2]
        wanted = {re.split("[<=]", entry)[0] for entry in (*target.packages, runtime)}
        assert wanted <= pinned.keys()
        # A bundle with both kinds of models takes both lists.
        assert all(versions.setdefault(package, v) == v for package, v in pinned.items())
    assert versions.get("tflrt") == ("2.5.0.post1" if target.tflite == "2.5" else None)


def test_checksums_are_those_of_hashlib(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256(path) == hashlib.sha256(b"abc").hexdigest()
