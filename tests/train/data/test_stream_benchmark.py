"""The benchmark of streams: its filter, the motion of its crops, and all of it on a toy."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.csv_files import csv_bytes, csv_rows
from ghostdepth_train.data.clips import CropPath
from ghostdepth_train.models.network import DepthNet
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import benchmark
from tests.train.conftest import write_dataset
from tests.train.making import SMALL


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return benchmark("stream", "papers")


@pytest.fixture(scope="module")
def clips() -> ModuleType:
    return benchmark("stream_clips", "papers")


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    return benchmark("stream_table", "papers")


@settings(max_examples=50, deadline=None)
@given(keep=st.floats(0, 0.99), count=st.integers(1, 9), seed=st.integers(0, 999))
def test_the_filter_weighs_a_frame_by_its_age(
    bench: ModuleType, keep: float, count: int, seed: int
) -> None:
    depth = np.random.default_rng(seed).uniform(0.3, 12, (count, 2, 3))
    weights = (1 - keep) * keep ** np.arange(count)[::-1]
    weights[0] = keep ** (count - 1)  # What was before the first frame is the first frame.
    want = np.exp(np.tensordot(weights, np.log(depth), 1))
    np.testing.assert_allclose(bench.filtered(depth, keep)[-1], want, rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 9999), zoom=st.floats(1.1, 3), motion=st.floats(0, 1))
def test_a_point_of_a_moving_crop_is_found_in_the_next_frame(
    clips: ModuleType, seed: int, zoom: float, motion: float
) -> None:
    path = CropPath.draw(np.random.default_rng(seed), zoom, motion)
    # Each pixel's depth, times the enlargement, is the column or row that it came from.
    for axis in (0, 1):
        picture = np.broadcast_to(
            np.expand_dims(np.arange(1.0, 321)[: 240 + 80 * axis], 1 - axis), (240, 320)
        ).astype(np.float32)
        views = [
            path.view(np.zeros((240, 320, 3), np.uint8), picture, at, clips.SIZE)[1]
            * path.at(at)[0]
            for at in (0.2, 0.5)
        ]
        x, y = clips.crop_motion(path, 0.2, 0.5, picture.shape)
        seen = np.isfinite(x)
        assert np.array_equal(seen, np.isfinite(y))
        columns, rows = (np.rint(place[seen]).astype(int) for place in (x, y))
        inside = (columns < clips.SIZE[1]) & (rows < clips.SIZE[0])
        found = views[1][rows[inside], columns[inside]]
        # Both views take the nearest of the picture's pixels.
        assert np.abs(found - views[0][seen][inside]).max() <= 3


def test_a_crop_that_stands_still_moves_no_point(clips: ModuleType) -> None:
    path = CropPath((1, 1), ((0, 0), (0, 0)))
    x, y = clips.crop_motion(path, 0, 1, (480, 640))
    rows, columns = np.indices(clips.SIZE)
    assert np.allclose(x, columns) and np.allclose(y, rows)


def test_emptied_at_every_frame_a_state_gives_what_the_network_sees_in_each_picture(
    bench: ModuleType,
) -> None:
    torch.manual_seed(0)
    stream = {"kind": "minimal", "channels": 4}
    decoder = SMALL.decoder.model_dump() | {"stream": stream}
    network = DepthNet(SMALL.model_validate(SMALL.model_dump() | {"decoder": decoder})).eval()
    assert network.stream is not None
    torch.nn.init.normal_(network.stream.project.weight)
    rgb = np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), np.uint8)
    carried, emptied = (bench.predicted(network, rgb, carry) for carry in (True, False))
    assert carried.shape == emptied.shape == (20, 24, 32)
    np.testing.assert_allclose(carried[0], emptied[0], rtol=1e-5)
    assert np.abs(np.log(carried[1:] / emptied[1:])).max() > 1e-3


@pytest.fixture
def toy(
    bench: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Arguments of a benchmark that takes seconds."""
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "start", DepthNet(SMALL), name="toy", training_data="", metrics={})
    clip = write_dataset(tmp_path / "clip", 5)
    pose = " ".join(str(value) for value in np.eye(4).ravel())
    (clip / "poses.txt").write_text("".join(f"{index:03} {pose}\n" for index in range(5)))
    np.savetxt(clip / "intrinsics_640x480.txt", [[585, 0, 320], [0, 585, 240], [0, 0, 1]])
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "stream.csv")
    folders = {"data": data, "clip": clip, "runs": tmp_path / "runs", "init": tmp_path / "start"}
    arguments = [text for key, value in folders.items() for text in (f"--{key}", str(value))]
    return ["stream.py", *arguments, "--config", "tiny", "--epochs", "1", "--seeds", "0", "1"]


def test_every_arm_has_every_figure_and_nothing_is_measured_twice(
    bench: ModuleType,
    figures: ModuleType,
    toy: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", toy)
    assert bench.main() == 0
    rows, arms = csv_rows(bench.RESULTS), figures.ARMS
    assert len(rows) == 2 * 3 * len(arms)
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm]
        assert {row["set"] for row in own} == {"crops", "still", "walk"}
        assert {row["steps"] for row in own} == {"2"}
    for row in rows:
        assert bool(row["flicker"]) == (row["set"] == "still")
        assert float(row["si_rmse"]) > 0 and float(row["temporal_error"]) > 0
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert all(f"| {arm} | " in printed for arm in arms)
    monkeypatch.setattr(bench.Bench, "rows", lambda *_: pytest.fail("measured again"))
    assert bench.main() == 0
    assert capsys.readouterr().out == printed


def write_rows(path: Path, figures: ModuleType, start: str, arms: dict[int, int]) -> None:
    """Adds rows of a start: for each seed its number of arms, which give 0.SEED + index / 100."""
    numbers = dict.fromkeys(("steps", "clips", "frames", "pairs", "training_seconds"), "1")
    rows = [
        {"epochs": "4", "seed": str(seed), "arm": arm, "set": name, "init": start, **numbers}
        | dict.fromkeys(
            ("si_rmse", "delta_1", "temporal_error", "flicker"), str(seed / 10 + index / 100)
        )
        for seed, count in arms.items()
        for index, arm in enumerate(figures.ARMS[:count])
        for name in ("crops", "still", "walk")
    ]
    path.write_bytes(csv_bytes([*csv_rows(path), *rows]))


def test_a_seed_that_lacks_an_arm_is_not_in_the_table(figures: ModuleType, tmp_path: Path) -> None:
    path, every = tmp_path / "stream.csv", len(figures.ARMS)
    assert figures.table(path) == "No seed has every arm yet."
    write_rows(path, figures, "old", {1: every, 2: every, 3: every - 1})
    write_rows(path, figures, "new", {4: every})
    assert "2 seeds, from old" in figures.table(path)
    assert f"| {figures.ARMS[0]} | 0.1500 ± 0.0707 |" in figures.table(path)
    write_rows(path, figures, "new", {5: every})
    assert "2 seeds, from new" in figures.table(path)


def test_frames_without_a_pose_are_one_line(clips: ModuleType, toy: list[str]) -> None:
    clip = Path(toy[toy.index("--clip") + 1])
    (clip / "poses.txt").write_text(f"000 {'1 ' * 16}\n")
    with pytest.raises(UserError, match=r"poses\.txt has 1 poses for 5 frames"):
        clips.walk_clip(clip)
