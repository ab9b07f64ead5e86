"""Depth maps that show another view than their photos are found, and aligned ones are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs, read_pair
from bench_depth.plausibility.alignment import AlignmentSurvey, Move, edges_of, misalignment
from bench_depth.plausibility.survey import DataSurvey

# Pictures in, a line out: no Pi differs.
pytestmark = pytest.mark.same_everywhere
SAMPLES = Path(__file__).resolve().parents[3] / "samples"
Pair = tuple[np.ndarray, np.ndarray]
Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [read_pair(pair) for pair in list_pairs(SAMPLES)]


def moved(zoom: float, right: float = 0.0, down: float = 0.0) -> Change:
    """The depth that a camera of a longer lens, or one beside the photo's, would store."""

    def change(depth: np.ndarray) -> np.ndarray:
        rows, columns = depth.shape
        matrix = np.float32(
            [
                [zoom, 0, (1 - zoom) * columns / 2 + right * columns],
                [0, zoom, (1 - zoom) * rows / 2 + down * rows],
            ]
        )
        return cv2.warpAffine(depth, matrix, (columns, rows), flags=cv2.INTER_NEAREST)

    return change


def text_of(pairs: list[Pair], change: Change = lambda depth: depth) -> str | None:
    survey = DataSurvey()
    for index, (photo, depth) in enumerate(pairs):
        survey.add(str(index), photo, np.ascontiguousarray(change(depth)))
    found = {finding.code: finding.text for finding in survey.findings()}
    return found.get("depth-unaligned")


@pytest.mark.parametrize(
    ("change", "move"),
    [
        (moved(1.11), Move(None, 1.11, 0, 0)),
        (moved(0.9), Move(None, 0.9, 0, 0)),
        (moved(1.09, right=0.02), Move(None, 1.09, 0.02, 0)),
        (moved(1.0, right=0.05), Move(None, 1.0, 0.05, 0)),
        (moved(1.0, down=-0.05), Move(None, 1.0, 0, -0.05)),
        (lambda depth: cv2.flip(depth, 1), Move(1, 1.0, 0, 0)),
        (lambda depth: cv2.flip(depth, 0), Move(0, 1.0, 0, 0)),
        (lambda depth: cv2.flip(depth, -1), Move(-1, 1.0, 0, 0)),
    ],
)
def test_the_view_that_the_depth_is_of_is_found(
    pairs: list[Pair], change: Change, move: Move
) -> None:
    edges = [edges_of(photo, np.ascontiguousarray(change(depth))) for photo, depth in pairs]
    found = misalignment([each for each in edges if each is not None])
    assert found is not None
    assert found.mirror == move.mirror
    # A step of the zooms that are tried, two pixels of the grid.
    assert found.zoom == pytest.approx(move.zoom, abs=0.03)
    assert (found.right, found.down) == pytest.approx((move.right, move.down), abs=0.017)


def test_the_finding_says_what_would_bring_the_photos_there(pairs: list[Pair]) -> None:
    assert "the photos are enlarged 1.09 times: a pixel" in str(text_of(pairs, moved(1.09)))
    assert "the photos are mirrored left to right: " in str(
        text_of(pairs, lambda depth: cv2.flip(depth, 1))
    )


@pytest.mark.parametrize("few", range(8, 49, 8))
def test_aligned_depth_has_no_finding(pairs: list[Pair], few: int) -> None:
    rng = np.random.default_rng(few)
    for _ in range(3):
        assert text_of([pairs[i] for i in rng.choice(len(pairs), few, replace=False)]) is None


def test_a_pixel_beside_is_no_other_view(pairs: list[Pair]) -> None:
    assert text_of(pairs, moved(1.0, right=0.008)) is None


def test_photos_without_anything_to_do_with_the_depth_name_no_view(pairs: list[Pair]) -> None:
    # No move brings other photos onto these maps, and none must be made up.
    assert text_of([(pairs[i - 1][0], depth) for i, (_, depth) in enumerate(pairs)]) is None


def test_lidar_smooth_depth_and_few_pairs_tell_nothing(pairs: list[Pair]) -> None:
    sparse = np.random.default_rng(0).random(pairs[0][1].shape) < 0.05
    assert text_of(pairs, lambda depth: cv2.flip(depth, 1) * sparse) is None
    assert edges_of(pairs[0][0], np.full_like(pairs[0][1], 2000)) is None
    assert text_of(pairs[:7], lambda depth: cv2.flip(depth, 1)) is None


def test_of_many_pairs_some_are_kept_evenly_spaced(pairs: list[Pair]) -> None:
    survey, edges = AlignmentSurvey(), edges_of(*pairs[0])
    assert edges is not None
    for _ in range(5):
        for photo, depth in pairs:
            survey.add(photo, cv2.flip(depth, 1))
    assert survey.move() is not None
    assert misalignment([edges] * 20) is None
