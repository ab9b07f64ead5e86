"""The exponential filter over the depth of a stream."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth import DepthModel, UserError
from bench_depth.depth.smoothing import Smoother
from bench_depth.model.contract import ModelContract

from tests.device.conftest import HEIGHT, WIDTH, TfliteMaker, main, tiny_depth

NOISE = np.random.default_rng(0).normal(0, 8, (40, HEIGHT, WIDTH, 1))
STILL = [np.clip(120 + noise, 0, 255).astype(np.uint8).repeat(3, -1) for noise in NOISE]


@pytest.fixture
def tiny(make_tflite: TfliteMaker, contract: ModelContract, tmp_path: Path) -> Path:
    return make_tflite(tmp_path / "tiny.tflite", contract)


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9])
def test_depth_is_that_of_the_formula(tiny: Path, keep: float) -> None:
    model, expected = DepthModel(tiny, smooth=keep), np.log(tiny_depth(STILL[0][np.newaxis]))
    for index, photo in enumerate(STILL[:5]):
        if index:
            expected = keep * expected + (1 - keep) * np.log(tiny_depth(photo[np.newaxis]))
        np.testing.assert_allclose(model.follow(photo).depth, np.exp(expected), rtol=1e-5)


def test_a_still_scene_flickers_as_theory_says(tiny: Path) -> None:
    # The variance of an exponential filter of white noise is (1 - keep) / (1 + keep) of it.
    plain, smooth = DepthModel(tiny), DepthModel(tiny, smooth=0.6)
    flicker = [
        np.log([model.follow(photo).depth for photo in STILL])[10:].std(0).mean()
        for model in (plain, smooth)
    ]
    assert flicker[1] / flicker[0] == pytest.approx(np.sqrt(0.4 / 1.6), rel=0.1)


def test_a_cut_and_a_photo_by_itself_are_not_mixed_with_what_came_before(tiny: Path) -> None:
    model, white = DepthModel(tiny, smooth=0.9), np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    model.follow(STILL[0])
    np.testing.assert_allclose(model.follow(white).depth, tiny_depth(white[np.newaxis]), rtol=1e-5)
    np.testing.assert_allclose(model(STILL[0]), tiny_depth(STILL[0][np.newaxis]), rtol=1e-5)


@pytest.mark.same_everywhere
def test_what_is_unknown_stays_so_and_leaves_nothing_behind() -> None:
    found = Smoother(0.5, metric=True)
    frames = [[4.0, 4, 4, 4], [1, np.nan, np.inf, -1], [1, 1, 1, 1]]
    seen = [found(np.array([frame], np.float32)) for frame in frames]
    np.testing.assert_allclose(seen[1], [[2, np.nan, np.inf, -1]], rtol=1e-6)
    np.testing.assert_allclose(seen[2], [[np.sqrt(2), 1, 1, 1]], rtol=1e-6)
    relative = Smoother(0.5, metric=False)
    values = [relative(np.array([[value]], np.float32))[0, 0] for value in (-4, 0, 2)]
    assert values == [-4, -2, 0]


def test_videos_are_smoothed(tiny: Path, tmp_path: Path) -> None:
    video = cv2.VideoWriter(
        str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (WIDTH, HEIGHT)
    )
    for photo in STILL[:12]:
        video.write(photo)
    video.release()
    jumps = []
    for keep in ("0", "0.9"):
        words = [
            str(tmp_path / "v.avi"),
            "--model",
            str(tiny),
            "--smooth",
            keep,
            "--range",
            "1",
            "2",
        ]
        assert main(["depth", *words, "--out", str(tmp_path / keep)]) == 0
        made = cv2.VideoCapture(str(tmp_path / keep / "v-depth.mp4"))
        frames = [made.read()[1].astype(float) for _ in range(12)]
        jumps.append(np.abs(np.diff(frames, axis=0))[6:].mean())
    assert jumps[1] < 0.7 * jumps[0]


@pytest.mark.same_everywhere
@pytest.mark.parametrize("keep", ["1", "-0.1", "nan", "much"])
def test_what_is_no_fraction_is_refused(keep: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["depth", "a.jpg"], ["live"]):
        with pytest.raises(SystemExit) as ended:
            main([*verb, "--smooth", keep])
        assert ended.value.code == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert "--smooth" in line and "is not a number from 0 to below 1" in line
    if keep != "much":
        with pytest.raises(UserError, match="fraction of the depth before"):
            DepthModel("ghostdepth-nano", smooth=float(keep))
