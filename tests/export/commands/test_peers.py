"""The peers give depth of the size that their configs say, and cost what their papers say."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from bench_depth.core.errors import UserError

from tests.conftest import benchmark


@pytest.fixture
def networks() -> ModuleType:
    return benchmark("peer_networks", "peers")


@pytest.mark.parametrize(("name", "macs"), [("litedepth-like", 22e6), ("fastdepth-like", 740e6)])
def test_a_peer_gives_depth_at_its_stride(networks: ModuleType, name: str, macs: float) -> None:
    from ghostdepth_export.convert.source import network_size
    from ghostdepth_train.models.summary import layer_costs

    peer = networks.PEERS[name]().eval()
    with torch.no_grad():
        depth = peer(torch.zeros(1, 3, *peer.size))
    assert depth.shape == (1, 1, *network_size(peer))
    # The middle of the range, on a log scale, before any training.
    assert depth.exp().mean().item() == pytest.approx(1.9, abs=0.3)
    # 0.74 GMACs are those of FastDepth's paper before pruning.
    assert sum(layer.macs for layer in layer_costs(peer)) == pytest.approx(macs, rel=0.02)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # Other folders of benchmarks have a run.py, too.
    monkeypatch.delitem(sys.modules, "run", raising=False)
    module = benchmark("run", "peers")
    monkeypatch.delitem(sys.modules, "run")
    return module


def test_the_figures_of_our_files_are_those_of_the_release(run: ModuleType) -> None:
    rows = run.read()
    ours = [name for name in run.networks() if run.architecture(name) in run.OURS]
    assert len(ours) >= 3
    for name in ours:
        for file in run.FILES:
            expected = run.released_file(name, file)
            assert {key: rows[name][key] for key in expected} == expected
        if name.endswith(run.AS_RELEASED):
            expected = run.released_accuracy(name)
            assert {key: rows[name][key] for key in expected} == expected


def test_no_peer_is_as_accurate_as_a_released_network_in_its_time_or_less(run: ModuleType) -> None:
    rows = run.read().values()
    released = [row for row in rows if row["network"].endswith(run.AS_RELEASED)]
    peers = [row for row in rows if row["network"] in run.PEERS and row["si_rmse"]]
    assert len(released) >= 3 and len(peers) >= 2
    for ours in released:
        for peer in peers:
            slower = float(peer["ms_int8"]) > float(ours["ms_int8"])
            assert slower or float(peer["si_rmse"]) > float(ours["si_rmse"])


def test_the_file_of_a_peer_is_exported_before_it_is_counted(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[bytes] = []

    def count(path: Path, root: Path) -> None:
        files.append(path.read_bytes())
        raise UserError("counting takes the emulated Pi")

    monkeypatch.setattr(run, "build_root", lambda *_: Path())
    monkeypatch.setattr(run, "count", count)
    with pytest.raises(UserError, match="emulated Pi"):
        run.peer_file("litedepth-like", "fp32", print)
    (data,) = files
    assert data[4:8] == b"TFL3"
    weights = 4 * int(run.read()["litedepth-like"]["parameters"])
    assert len(data) == pytest.approx(weights, rel=0.02)
