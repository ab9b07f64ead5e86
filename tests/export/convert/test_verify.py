from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import UserError
from bench_depth.core.metrics import depth_metrics
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.source import Source, evenly
from ghostdepth_export.convert.verify import Parity, Reference, check_limit, compare, make_reference

FINE = Parity(0.0, 0.0, None, 0.2, 0.2, 0.0)


@pytest.fixture
def reference() -> Reference:
    rng = np.random.default_rng(0)
    depths = [rng.uniform(1, 4, (6, 8)).astype(np.float32) for _ in range(2)]
    truths = [(d * 1000 * rng.uniform(0.8, 1.2, d.shape)).astype(np.uint16) for d in depths]
    return Reference([], depths, truths)


def test_the_same_depth_has_no_error(reference: Reference) -> None:
    parity = compare(reference.depths, reference)
    assert parity.max_abs_error == parity.max_relative_error == parity.si_rmse_change == 0
    assert parity.sqnr_db is None


def test_the_figures_are_what_their_formulas_say(reference: Reference) -> None:
    rng = np.random.default_rng(1)
    depths = [d + rng.normal(0, 0.05, d.shape).astype(np.float32) for d in reference.depths]
    parity = compare(depths, reference)
    ours, theirs = np.concatenate(depths), np.concatenate(reference.depths)
    assert parity.max_abs_error == pytest.approx(np.abs(ours - theirs).max())
    assert parity.max_relative_error == pytest.approx((np.abs(ours - theirs) / theirs).max())
    power = [float(np.sum(x.astype(np.float64) ** 2)) for x in (theirs, ours - theirs)]
    assert parity.sqnr_db == pytest.approx(10 * math.log10(power[0] / power[1]), rel=1e-4)
    rows = [
        [depth_metrics(d * 1000.0, t) for d, t in zip(maps, reference.truths, strict=True)]
        for maps in (depths, reference.depths)
    ]
    file, torch = (np.mean([row.si_rmse for row in r if row]) for r in rows)
    assert parity.si_rmse == pytest.approx(file, rel=1e-5)
    assert parity.si_rmse_torch == pytest.approx(torch, rel=1e-5)
    assert parity.si_rmse_change == pytest.approx(abs(file / torch - 1), rel=1e-3)


def test_the_depth_is_resized_to_the_truth(reference: Reference) -> None:
    truths = [np.full((12, 16), 2000, np.uint16) for _ in reference.truths]
    parity = compare(reference.depths, dataclasses.replace(reference, truths=truths))
    assert parity.si_rmse > 0


@pytest.mark.parametrize(
    ("name", "figure", "most"),
    [
        ("fp32.tflite", "max_relative_error", 1e-4),
        ("fp32.onnx", "max_relative_error", 1e-4),
        ("int8.tflite", "si_rmse_change", 0.05),
        ("int8.onnx", "si_rmse_change", 0.05),
    ],
)
def test_a_limit_names_file_figure_and_value(name: str, figure: str, most: float) -> None:
    kind = FORMATS[name]
    check_limit(f"m-{name}", kind, dataclasses.replace(FINE, **{figure: most}))
    with pytest.raises(UserError) as caught:
        check_limit(f"m-{name}", kind, dataclasses.replace(FINE, **{figure: most * 1.5}))
    assert caught.value.exit_code == 1
    assert f"m-{name}" in str(caught.value)
    assert f"{figure} is {most * 1.5:.3g}, at most {most:g}" in str(caught.value)


def test_a_figure_that_is_nan_fails() -> None:
    broken = dataclasses.replace(FINE, max_relative_error=math.nan)
    with pytest.raises(UserError, match="nan"):
        check_limit("m.tflite", FORMATS["fp32.tflite"], broken)


def test_pictures_are_taken_evenly() -> None:
    assert evenly(range(100), 4) == [0, 25, 50, 75]
    assert evenly(range(3), 8) == [0, 1, 2]


def test_a_dataset_without_known_depth_is_refused(source: Source, tmp_path: Path) -> None:
    import cv2

    for part in ("rgb", "depth"):
        (tmp_path / part).mkdir()
    cv2.imwrite(str(tmp_path / "rgb" / "a.png"), np.zeros((96, 128, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "depth" / "a.png"), np.zeros((96, 128), np.uint16))
    with pytest.raises(UserError, match="valid pixel"):
        make_reference(source, list_pairs(tmp_path))
