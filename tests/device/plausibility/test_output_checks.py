from __future__ import annotations

import numpy as np
import pytest
from bench_depth.plausibility.output_checks import OutputWatch, output_codes

ROOM = np.linspace(0.5, 9, 600, dtype=np.float32).reshape(20, 30)


@pytest.mark.parametrize(
    ("code", "depth"),
    [
        ("output-nan", np.where(ROOM > 8, np.nan, ROOM)),
        ("output-nan", np.where(ROOM > 8, np.inf, ROOM)),
        ("output-nan", np.full_like(ROOM, np.nan)),
        ("output-constant", np.zeros_like(ROOM)),
        ("output-constant", np.full_like(ROOM, 2.5)),
        ("output-constant", np.nextafter(np.full_like(ROOM, 2.5), ROOM)),
        ("output-negative", ROOM - 1),
        ("output-unit", ROOM / 1e4),
        ("output-unit", ROOM * 1e4),
    ],
)
def test_each_fault_has_its_code(code: str, depth: np.ndarray) -> None:
    assert output_codes(depth, metric=True) == [code]


def test_depth_of_a_room_has_no_code() -> None:
    assert output_codes(ROOM, metric=True) == []
    assert output_codes(ROOM - 1, metric=False) == []
    assert output_codes(ROOM * 1e6, metric=False) == []


def test_a_fault_is_told_once() -> None:
    lines: list[str] = []
    watch = OutputWatch(True, lines.append)
    for name, depth in (("a", ROOM), ("b", ROOM * 0), ("c", ROOM * 0), ("d", ROOM * np.nan)):
        watch(name, depth)
    assert watch.codes == ["output-constant", "output-nan"]
    assert [line.split(": ")[1] for line in lines] == ["b", "d"]


def photos(seed: int, number: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 255, (number, 64, 96, 3)).astype(np.uint8))


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_does_not_see_its_photos_is_found(seed: int) -> None:
    lines: list[str] = []
    watch = OutputWatch(True, lines.append)
    for index, photo in enumerate(photos(seed, 4)):
        watch(str(index), ROOM, photo)
    assert watch.codes == ["output-same"]
    assert len(lines) == 1


@pytest.mark.parametrize("change", [0, 1])
def test_alike_photos_may_have_the_same_depth(change: int) -> None:
    # A camera that stands still, with and without its noise.
    watch = OutputWatch(True, print)
    for index, photo in enumerate(photos(0, 1) * 5):
        watch(str(index), ROOM, photo // 2 + np.uint8(change * (index % 2)))
    assert watch.codes == []


def test_a_model_that_once_gave_another_depth_sees_its_photos() -> None:
    watch = OutputWatch(True, print)
    for index, photo in enumerate(photos(0, 4)):
        watch("photo", ROOM + (index in (1, 2)), photo)
    assert watch.codes == []


def test_photos_of_different_sizes_are_different() -> None:
    watch = OutputWatch(True, print)
    for photo in (photos(0, 1)[0], photos(0, 1)[0][:32]):
        watch("photo", ROOM, photo)
    assert watch.codes == ["output-same"]
