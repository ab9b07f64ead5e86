"""Deploying over real ssh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from bench_depth.report.table import render
from bench_depth.results.records import load

from .conftest import on_emulated_pi
from .pi import HOST, Pi, finish, wait_for
from .ssh_server import proxy


def sent(lines: list[str]) -> list[tuple[int, float]]:
    """(files, MB) of each time that files were sent."""
    words = [line.split() for line in lines if ": sending " in line]
    return [(int(line[2]), float(line[4])) for line in words]


@on_emulated_pi
@pytest.mark.timeout(1800)
def test_the_results_come_back_and_are_shown(pi: Pi) -> None:
    model = pi.new_model()
    done = pi.deploy(model)
    assert done.code == 0, done
    results = load(pi.folder / "results" / HOST / "results.json")
    assert [record.file for record in results.models] == [model.name]
    assert results.models[0].runtime.version.startswith("2.5")
    assert results.context.board.architecture == "aarch64"
    assert render(results) in done.out
    assert pi.models() == [model.name]
    # The model, its manifest and the checksums were sent; no packages, and the second time nothing.
    ((files, megabytes),) = sent(done.lines)
    assert files == 3
    assert megabytes == pytest.approx(model.stat().st_size / 1e6, abs=0.1)
    again = pi.deploy(model)
    assert again.code == 0, again
    assert sent(again.lines) == [(0, 0.0)]


def test_without_rsync_sftp_copies(pi: Pi, tmp_path: Path) -> None:
    for program in ("ssh", "sftp", "sh", "false"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    model = pi.new_model()
    # Two attempts are cut off; each continues where the one before ended.
    with proxy(pi.server.port, cut_after=2_000_000, cuts=2) as between:
        config = pi.server.client(between.port, HOST)
        done = pi.deploy(model, config=config, env={**os.environ, "PATH": str(tmp_path)})
    assert done.code == 0, done
    assert pi.models() == [model.name]
    first, second, third = (megabytes for _, megabytes in sent(done.lines))
    assert first > second > third


def test_what_an_interrupted_copy_sent_is_not_sent_again(pi: Pi) -> None:
    old, model = pi.current(), pi.new_model(padding=12 << 20)
    # What the network took last may never reach the Pi's disk: a megabyte or two.
    with proxy(pi.server.port, cut_after=4_000_000, cuts=3) as between:
        cut = pi.deploy(model, config=pi.server.client(between.port, HOST))
    assert cut.code != 0 and "the connection was lost" in cut.error()
    assert pi.current() == old
    done = pi.deploy(model)
    assert done.code == 0, done
    assert sent(done.lines)[0][1] < model.stat().st_size / 1e6 - 1


def test_a_connection_that_is_lost_now_and_then_does_no_harm(pi: Pi) -> None:
    model, lines = pi.new_model(), []
    pi.slow_down()
    steps = ("installing", "measuring once", "measuring", "fetching results")
    with proxy(pi.server.port) as between:
        process = pi.start("--models", model, config=pi.server.client(between.port, HOST))
        for step in steps:
            lines += wait_for(process, f"{HOST}: {step}\n")
            between.cut()
        done = finish(process, lines)
    assert done.code == 0, done
    again = [line for line in done.lines if line.endswith("; trying again")]
    assert len(again) == len(steps)
    assert all(line.startswith(f"{HOST}: the connection was lost") for line in again)
    assert pi.models() == [model.name]


def test_a_file_damaged_on_its_way_is_sent_again(pi: Pi) -> None:
    model = pi.new_model()
    damage = 'for file in incoming/*/models/*; do printf x >> "$file"; done'
    pi.fake("setsid", f'case "$*" in *install*) {damage}; rm ~/.fake/setsid;; esac')
    done = pi.deploy(model)
    assert done.code == 0, done
    again = f"{HOST}: install: wrong checksum: models/{model.name}; copy the bundle again"
    assert f"{again}; trying again" in done.lines
    assert [files for files, _ in sent(done.lines)] == [3, 1]


def test_rollback_and_back(pi: Pi) -> None:
    old = pi.current()
    assert pi.deploy(pi.new_model()).code == 0
    new = pi.current()
    assert new != old
    for expected in (old, new):
        done = finish(pi.start("--rollback"))
        assert done.code == 0, done
        assert pi.current() == expected
        assert f"{HOST}: rolled back to {expected}" in done.lines[-1]


def test_two_deployments_at_once_do_not_mix(pi: Pi) -> None:
    config = pi.server.client()
    config.write_text(config.read_text().replace(f"Host {HOST}", f"Host {HOST} same"))
    model = pi.new_model()
    # The second waits five seconds for the first.
    pi.fake("setsid", "sleep 4")
    done = finish(pi.start("--models", model, config=config, hosts=(HOST, "same")))
    assert done.code == 2
    (line,) = [line for line in done.lines if line.startswith("ghostdepth: ")]
    assert "another deployment to it is at work" in line
    assert pi.models() == [model.name]
    assert done.out.count("\ninvoke ") == 1
