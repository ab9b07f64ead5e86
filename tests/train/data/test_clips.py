"""Clips: the crop's depth against a plane's, folders of frames, and a training that continues."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.dataset import list_pairs, write_depth
from bench_depth.core.errors import UserError
from ghostdepth_train.config import AugmentConfig, ClipConfig, TrainConfig, parse_config
from ghostdepth_train.data import ClipDataset, read_split
from ghostdepth_train.data.clips import CropPath, clips_of
from ghostdepth_train.losses import temporal_loss
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.conftest import write_dataset

STILL = AugmentConfig(flip=0, zoom=2, colour=0, noise=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0, 1), st.floats(1, 3), st.floats(0, 1))
def test_a_moving_crop_shows_a_picture_with_the_depth_from_where_it_is(
    seed: int, motion: float, zoom: float, time: float
) -> None:
    path = CropPath.draw(np.random.default_rng(seed), zoom, motion)
    enlargement, place = path.at(time)
    assert 1 <= enlargement <= zoom + 1e-9 and all(0 <= at <= 1 for at in place)
    ramp = np.tile(np.linspace(0, 200, 320, dtype=np.float32), (240, 1))
    rgb = np.repeat(ramp[..., None], 3, 2).astype(np.uint8)
    photo, depth = path.view(rgb, 1 + ramp / 100, time, (240, 320))
    # The photo tells where a pixel came from, and what its depth was before it came nearer.
    want = (1 + photo[..., 0] / 100) / enlargement
    assert np.abs(depth / want - 1).max() < 0.03


def test_a_crop_that_does_not_move_is_a_still_scene_but_for_its_noise(data: Path) -> None:
    pairs = read_split(data).train
    clip = ClipConfig(frames=3, motion=0)
    rgb, depth = ClipDataset(pairs, (32, 40), STILL, 0, clip)[2, 1]
    assert rgb.shape == (3, 3, 32, 40) and depth.shape == (3, 1, 32, 40)
    assert torch.equal(rgb[0], rgb[2]) and torch.equal(depth[0], depth[2])
    noisy, same = ClipDataset(pairs, (32, 40), AugmentConfig(noise=20), 0, clip)[2, 1]
    assert not torch.equal(noisy[0], noisy[2]) and torch.equal(same[0], same[2])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 5.0]))
def test_a_point_of_an_augmented_clip_is_where_its_motion_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flip: float, tilt: float
) -> None:
    folder = write_dataset(tmp_path_factory.mktemp("ramp"), 1)
    rows, columns = np.mgrid[0:48, 0:64]
    tells = np.dstack([np.zeros_like(rows), 3 * rows, 3 * columns])  # Blue, green, red.
    cv2.imwrite(str(folder / "rgb" / "000.png"), tells)
    config = STILL.model_copy(update={"flip": flip, "tilt": tilt})
    clip = ClipConfig(frames=3, motion=0.5, temporal=1)
    rgb, _, motions = ClipDataset(list_pairs(folder), (48, 64), config, seed, clip)[0, 0]
    # Away from the edge, where a tilt mirrors the picture.
    y, x = np.mgrid[12:36, 16:48].reshape(2, -1)
    frames = itertools.pairwise(rgb.int().numpy())
    for (here, after), motion in zip(frames, motions, strict=True):
        moved = motion.numpy() @ np.stack([x, y, np.ones_like(x)])
        column, row = np.rint(moved[:2] / moved[2]).astype(int)
        inside = (row >= 12) & (row < 36) & (column >= 16) & (column < 48)
        wanted = here[:2, y[inside], x[inside]]
        found = after[:2, row[inside], column[inside]]
        assert inside.any() and np.abs(found - wanted).max() <= 5  # A pixel is up to 3 levels.


def test_motion_that_is_not_known_is_one_line() -> None:
    with pytest.raises(UserError, match="temporal needs the motion between the frames") as error:
        parse_config(ClipConfig, {"source": "frames", "temporal": 1}, "it")
    assert "\n" not in str(error.value)


def test_the_temporal_error_is_added_to_the_loss_with_its_weight(
    data: Path, config: TrainConfig, tmp_path: Path
) -> None:
    trainer = Trainer(
        with_stream(config, temporal=3.0),
        read_split(data),
        RunOptions(tmp_path / "run", "toy", "", workers=0),
    )
    rgb, depth, motions = next(iter(trainer.loader))
    plain = trainer.loss(trainer.network.eval(), rgb, depth)
    frames = trainer.predict(trainer.network, rgb).unflatten(0, depth.shape[:2])
    expected = plain + 3 * temporal_loss(frames, depth, motions)
    torch.testing.assert_close(trainer.loss(trainer.network, rgb, depth, motions), expected)
    assert bool(expected > plain + 1e-3)


def test_frames_of_a_folder_follow_each_other_and_no_clip_crosses_folders(tmp_path: Path) -> None:
    for name, count in (("a", 4), ("b", 3)):
        folder = write_dataset(tmp_path / "train" / name, count)
        for index in range(count):
            level = (1 + index + 10 * (name == "b")) * 1000
            write_depth(folder / "depth" / f"{index:03}.png", np.full((48, 64), level))
    write_dataset(tmp_path / "val", 2)
    pairs = read_split(tmp_path).train
    assert [len(own) for own in clips_of(pairs)] == [4, 3]
    clips = ClipDataset(
        pairs,
        (48, 64),
        STILL.model_copy(update={"zoom": 1.0}),
        0,
        ClipConfig(source="frames", frames=3),
    )
    found = [clips[0, index][1][:, 0, 0, 0].tolist() for index in range(len(clips))]
    assert found == [[1, 2, 3], [2, 3, 4], [11, 12, 13]]


def test_a_clip_of_one_frame_is_one_line(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train" / "a", 1)
    write_dataset(tmp_path / "val", 1)
    pairs = read_split(tmp_path).train
    with pytest.raises(UserError, match=r"a has 1 frame, and clip.frames is 4; give longer") as e:
        ClipDataset(pairs, (32, 32), STILL, 0, ClipConfig(source="frames"))
    assert "\n" not in str(e.value)


def test_frames_of_different_sizes_in_one_clip_are_one_line(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "train" / "a", 4)
    write_dataset(tmp_path / "val", 1)
    cv2.imwrite(str(folder / "rgb" / "002.png"), np.zeros((40, 80, 3), np.uint8))
    write_depth(folder / "depth" / "002.png", np.full((40, 80), 2000))
    clip = ClipConfig(source="frames", frames=2)
    clips = ClipDataset(read_split(tmp_path).train, (32, 32), STILL, 0, clip)
    assert clips[0, 0][0].shape == (2, 3, 32, 32)
    for index in (1, 2):
        with pytest.raises(UserError, match=rf"a has frames of .* from 00{index} on; a clip") as e:
            clips[0, index]
        assert "\n" not in str(e.value) and "80x40" in str(e.value)


def with_stream(config: TrainConfig, **clip: object) -> TrainConfig:
    value = config.model_dump()
    value["network"]["decoder"]["stream"] = {"channels": 4}
    return parse_config(TrainConfig, value | {"clip": {"frames": 2, **clip}}, "it")


def test_a_training_on_clips_goes_on_to_the_same_weights(
    data: Path, config: TrainConfig, tmp_path: Path
) -> None:
    chosen, split = with_stream(config), read_split(data)
    chosen = chosen.model_copy(update={"epochs": 2})

    def run(name: str, minutes: float | None, *, resume: bool = False) -> Trainer:
        options = RunOptions(tmp_path / name, "toy", "", workers=0, minutes=minutes, resume=resume)
        trainer = Trainer(chosen, split, options)
        trainer.run()
        return trainer

    whole = run("whole", None)
    assert run("parts", 1e-9).ended_by == "minutes"
    parts = run("parts", None, resume=True)
    wanted, found = (each.network.state_dict() for each in (whole, parts))
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    assert wanted["stream.new_state.weight"].any() and wanted["stream.project.weight"].any()


def test_clips_and_streams_need_each_other(config: TrainConfig) -> None:
    plain = config.model_dump()
    with pytest.raises(UserError, match="clip is for a network with a stream"):
        parse_config(TrainConfig, plain | {"clip": {}}, "it")
    stream = with_stream(config).model_dump() | {"clip": None}
    with pytest.raises(UserError, match="a network with a stream is trained on clips"):
        parse_config(TrainConfig, stream, "it")
    with pytest.raises(UserError, match=r"clip.frames: Input should be greater than or equal to 2"):
        with_stream(config, frames=1)
