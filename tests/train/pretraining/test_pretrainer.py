"""The pretraining of an encoder: it learns, resumes bit by bit, and serves a depth network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train import distributed
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import load_train_config
from ghostdepth_train.data import read_split
from ghostdepth_train.pretraining import Pretrainer, load_pretrain_config, split_images
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

from tests.train.making import StopHere, same_tensors, stop_at

# Small, and with so few codes that none is rare enough to be kept.
SMALL = {
    "network.input_width": 64, "codes": 8, "channels": 8, "batch_size": 6, "subsample": 0,
}  # fmt: skip


def pretrainer(images: Path, out: Path, *, resume: bool = False, **settings: Any) -> Pretrainer:
    config = load_pretrain_config("tiny", settings={"epochs": 2, **SMALL, **settings})
    options = RunOptions(out, "t", "test", workers=0, resume=resume)
    return Pretrainer(config, split_images([images]), options)


def test_a_run_that_is_stopped_resumes_bit_by_bit(images: Path) -> None:
    whole, broken = images.parent / "whole", images.parent / "broken"
    history = pretrainer(images, whole).run()
    assert all(math.isfinite(row["validation_loss"]) for row in history)
    with pytest.raises(StopHere):
        pretrainer(images, broken).run(stop_at(3))
    pretrainer(images, broken, resume=True).run()
    for name in ("last/training.safetensors", "best/model.safetensors"):
        same_tensors(whole / name, broken / name)


def test_the_encoder_learns_and_the_decoder_does_not(images: Path) -> None:
    settings = {"method": "cbow", "epochs": 6, "negatives": 3, "learning_rate": 0.01}
    run = pretrainer(images, images.parent / "run", **settings)
    before = {key: value.clone() for key, value in run.network.state_dict().items()}
    start, end = run.figures()["validation_loss"], run.run()[-1]["validation_loss"]
    assert start == pytest.approx(4 * math.log(2), rel=1e-6)  # every code is equally likely
    assert end < 0.98 * start
    after = run.network.state_dict()
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert {key.split(".")[0] for key in changed} == {"encoder"}


def test_a_pretrained_encoder_starts_a_depth_network_of_any_decoder(
    images: Path, data: Path, tmp_path: Path
) -> None:
    pretrainer(images, tmp_path / "run", epochs=1).run()
    best = tmp_path / "run" / "best"
    with pytest.raises(UserError, match="pretrained encoder, not a depth network; train it first"):
        load_checkpoint(best)
    config = load_train_config("tiny", {"epochs": 1}, {"network.decoder.widths": [8, 8]})
    options = RunOptions(tmp_path / "depth", "t", "", workers=0, init=best)
    network = Trainer(config, read_split(data), options).network.state_dict()
    pretrained = load_checkpoint(best, pretrained=True).network.state_dict()
    encoder = [key for key in network if key.startswith("encoder.")]
    assert encoder
    assert all(torch.equal(network[key], pretrained[key]) for key in encoder)


def test_features_of_a_checkpoint_are_matched(images: Path, data: Path, tmp_path: Path) -> None:
    config = load_train_config("tiny", {"epochs": 1})
    Trainer(config, read_split(data), RunOptions(tmp_path / "t", "t", "", workers=0)).run()
    teacher = str(tmp_path / "t" / "best")
    run = pretrainer(
        images, tmp_path / "run", method="features", teacher=teacher, epochs=4, learning_rate=0.01
    )
    start = run.figures()["validation_loss"]
    assert run.run()[-1]["validation_loss"] < start


def test_a_resumption_with_other_settings_names_them(images: Path, tmp_path: Path) -> None:
    pretrainer(images, tmp_path / "run", epochs=1).run()
    with pytest.raises(UserError, match="another setting of the pretraining"):
        pretrainer(images, tmp_path / "run", epochs=1, negatives=7, resume=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"window": 5}, r"has 4x4 patches of 16x16 pixels, fewer than the window of 5x5"),
        ({"window": 4}, "window 4 is even"),
        ({"windw": 5}, "did you mean window"),
        ({"method": "glove"}, "method"),
    ],
)
def test_settings_that_cannot_be_are_one_line(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        load_pretrain_config("tiny", settings={"network.input_width": 64, **settings})
    assert "\n" not in str(raised.value)


def test_images_that_cannot_be_used_are_one_line(images: Path) -> None:
    split = split_images([images])
    assert (len(split.train), len(split.val)) == (13, 1)
    with pytest.raises(UserError, match="is not a folder of images"):
        split_images([images / "none"])
    (images / "empty").mkdir()
    with pytest.raises(UserError, match="has no image"):
        split_images([images / "empty"])
    few = images.parent / "few"
    few.mkdir()
    for path in split.train[:3]:
        path.rgb.rename(few / path.rgb.name)
    small = images.parent / "small"
    small.mkdir()
    cv2.imwrite(str(small / "a.png"), np.zeros((48, 20, 3), np.uint8))
    with pytest.raises(UserError, match=r"a\.png is 20x48 pixels"):
        split_images([small])
    with pytest.raises(UserError, match="3 images; pretraining needs at least 10"):
        split_images([few])
    (images / "more" / "99.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"99\.png"):
        split_images([images])


def test_of_several_processes_none_waits_for_the_decoder(images: Path, tmp_path: Path) -> None:
    network = pretrainer(images, tmp_path / "run").network
    distributed.synchronise_batch_norm(network)
    trained = {key.split(".")[0] for key, p in network.named_parameters() if p.requires_grad}
    assert trained == {"encoder"}
