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
