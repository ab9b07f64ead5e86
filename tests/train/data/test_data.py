"""From dataset folders to batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.dataset import read_depth, write_depth
from bench_depth.core.errors import UserError
from ghostdepth_train.config import AugmentConfig
from ghostdepth_train.data import (
    DepthDataset,
    EpochSampler,
    batches,
    fraction_of,
    read_split,
    survey_split,
    training_loader,
)


def test_an_item_depends_on_epoch_and_index_alone(data: Path) -> None:
    pairs = read_split(data).train
    first, second = (DepthDataset(pairs, (32, 48), AugmentConfig(), seed=1) for _ in range(2))
    second[(0, 1)], second[(4, 2)]
    for a, b in zip(first[(3, 2)], second[(3, 2)], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(first[(3, 2)][0], first[(4, 2)][0])


def test_an_item_is_the_same_whether_or_not_it_was_decoded_before(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = read_split(data).train
    remembering = DepthDataset(pairs, (32, 48), AugmentConfig(), seed=1)
    remembering[(0, 2)]
    monkeypatch.setattr("ghostdepth_train.data.loader.CACHE_BYTES", 0)
    forgetting = DepthDataset(pairs, (32, 48), AugmentConfig(), seed=1)
    for a, b in zip(remembering[(1, 2)], forgetting[(1, 2)], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_worker_processes_give_the_same_batches_as_none(data: Path) -> None:
    dataset = DepthDataset(read_split(data).train, (32, 48), AugmentConfig(), seed=1)
    batches = [
        [rgb.clone() for rgb, _ in training_loader(dataset, EpochSampler(10, 4, 0), workers)]
        for workers in (0, 1)
    ]
    for a, b in zip(*batches, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_an_epoch_visits_each_image_at_most_once_and_another_order_follows() -> None:
    sampler = EpochSampler(count=11, batch=3, seed=0)
    epochs = []
    for epoch in range(2):
        sampler.epoch = epoch
        epochs.append([index for batch in sampler for _, index in batch])
    assert len(epochs[0]) == len(set(epochs[0])) == 9
    assert epochs[0] != epochs[1]


def test_processes_together_see_the_batches_of_one_with_the_double_batch() -> None:
    single = list(EpochSampler(count=23, batch=4, seed=5))
    halves = [list(EpochSampler(count=23, batch=2, seed=5, rank=r, world=2)) for r in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == single


def test_a_set_smaller_than_a_batch_is_repeated() -> None:
    (batch,) = EpochSampler(count=3, batch=8, seed=0)
    assert len(batch) == 8
    assert {index for _, index in batch} == {0, 1, 2}


def test_a_single_folder_keeps_its_last_tenth_for_validation(data: Path) -> None:
    split = read_split(data / "train")
    assert [p.name for p in split.val] == ["009"]
    assert len(split.train) == 9


def test_depth_arrives_in_metres_with_zero_for_unknown(data: Path) -> None:
    still = AugmentConfig(flip=0, zoom=1, colour=0, noise=0)
    _, depth = DepthDataset(read_split(data).train, (48, 64), still, 0)[(0, 0)]
    assert bool((depth[0, :2] == 0).all())
    assert 0.9 < float(depth[0, 10].min()) < float(depth[0, 10].max()) < 6.1
    assert depth.dtype == torch.float32


def test_too_small_a_folder_is_refused(data: Path) -> None:
    for part in ("rgb", "depth"):
        for path in sorted((data / "val" / part).iterdir())[1:]:
            path.unlink()
    with pytest.raises(UserError, match="at least two"):
        read_split(data / "val")


def test_constant_baseline_is_the_mean_log_depth(data: Path) -> None:
    from ghostdepth_train.evaluate import constant_baseline

    split = read_split(data)
    metrics = constant_baseline(split.train, split.val)
    logs = [np.log(read_depth(p.depth)[2:].astype(float)) for p in split.train]
    guess = np.exp(np.mean(logs, axis=0))
    truths = [read_depth(p.depth)[2:].astype(float) for p in split.val]
    expected = np.mean([np.mean(np.abs(guess - t) / t) for t in truths])
    assert metrics.rel == pytest.approx(expected, rel=0.02)


def test_a_fraction_is_evenly_spaced_and_keeps_the_validation_set(data: Path) -> None:
    split = read_split(data)
    half = fraction_of(split, 0.5)
    assert [pair.name for pair in half.train] == ["001", "003", "005", "007", "009"]
    assert half.val == split.val and fraction_of(split, 1) == split
    assert len(fraction_of(split, 1e-9).train) == 1
    for wrong in (0, 1.5, -1, float("nan")):
        with pytest.raises(UserError, match="not above 0 and at most 1"):
            fraction_of(split, wrong)


def test_a_survey_names_the_set_and_refuses_one_without_depth(data: Path) -> None:
    assert survey_split(read_split(data), "data") == []
    for pair in read_split(data).train:
        write_depth(pair.depth, np.full((48, 64), 65535))
    (finding, *_) = survey_split(read_split(data), "data")
    assert finding.text.startswith("training set: ")
    for pair in read_split(data).train:
        write_depth(pair.depth, np.zeros((48, 64)))
    with pytest.raises(UserError, match="no depth map of the training set of data has"):
        survey_split(read_split(data), "data")


def test_a_file_that_went_bad_is_one_line_also_from_another_process(data: Path) -> None:
    pairs = read_split(data).train
    for pair in pairs:
        pair.rgb.write_bytes(pair.rgb.read_bytes()[:50])
    dataset = DepthDataset(pairs, (32, 48), AugmentConfig(), seed=1)
    loader = training_loader(dataset, EpochSampler(len(pairs), 2, seed=0), workers=1)
    with pytest.raises(UserError, match="is not a readable picture") as error:
        next(batches(loader))
    assert "Traceback" not in str(error.value)
