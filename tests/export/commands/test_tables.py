"""Every table in the pages is what the committed results say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs, write_depth

from tests.conftest import benchmark

ROOT = Path(__file__).resolve().parents[3]


def test_no_table_is_stale() -> None:
    command = [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "most"),
    [("ghostdepth-m", 1.0345), ("ghostdepth-s", 1.016), ("ghostdepth-nano", 1.016)],
)
def test_int8_is_as_accurate_as_the_pages_say(name: str, most: float) -> None:
    transfer = benchmark("transfer.run")
    rows = transfer.read()
    ratios = {
        where: {
            figure: float(rows[name, transfer.INT8, where][figure])
            / float(rows[name, transfer.TORCH, where][figure])
            for figure in ("si_rmse", "rmse", "delta_1")
        }
        for where in ("nyuv2", "kitchen", "realsense")
    }
    assert all(abs(ratio - 1) < 0.01 for ratio in ratios["nyuv2"].values())
    assert all(found["si_rmse"] < most for found in ratios.values())


def test_a_teacher_is_the_mean_of_log_depth_over_networks_and_mirror_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Scripts import those beside them by their bare names, and there is another `run`.
    monkeypatch.setitem(sys.modules, "run", benchmark("transfer.run"))
    write_depth(tmp_path / "depth/a.png", np.full((4, 8), 1414, np.uint16))
    (tmp_path / "rgb").mkdir()
    cv2.imwrite(str(tmp_path / "rgb/a.png"), np.zeros((4, 8, 3), np.uint8))
    flat, step = np.full((4, 8), 1000.0), np.repeat([[4000.0, 1000.0]], 4, 0).repeat(4, 1)
    networks = {"flat": lambda _: flat, "step": lambda _: step}
    found = benchmark("transfer.teachers").measured(networks, ["flat + step"], list_pairs(tmp_path))
    biases = {name: float(row["log_bias"]) for name, row in found.items()}
    want = {"flat": np.log(1 / 1.414), "step": np.log(2 / 1.414), "flat + step": 0}
    assert biases == pytest.approx(want, abs=1e-3)
    assert float(found["step"]["si_rmse"]) == pytest.approx(0, abs=1e-4)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = benchmark("compression.measure")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results.csv")
    return module


def test_seeds_of_one_run_become_one_line_with_their_mean_and_spread(measure: ModuleType) -> None:
    facts = {"steps": "distil", "file": "torch", "latency_ratio": ""}
    errors = {0: 0.20, 1: 0.21, 2: 0.25}
    rows: list[dict[str, object]] = [
        {
            **facts,
            "name": measure.row_name(f"ab-teacher-{seed}", seed),
            "seed": seed,
            "seconds": 600,
            "si_rmse": error,
            "rmse": 0.8,
            "delta_1": 0.6,
        }
        for seed, error in errors.items()
    ]
    measure.write_rows(rows)
    *_, line = measure.seeds_table().splitlines()
    mean, spread = np.mean(list(errors.values())), np.std(list(errors.values()), ddof=1)
    assert line == (
        f"| ab-teacher | distil | 3 | {mean:.4f} ± {spread:.4f} | 0.800 ± 0.000 "
        "| 0.600 ± 0.000 | 10 |"
    )
    measure.write_rows([rows[2] | {"si_rmse": 0.22}])
    assert "| 3 | 0.2100 ± 0.0100 |" in measure.seeds_table()
    assert "ab-teacher" not in measure.table()


@pytest.mark.parametrize(
    ("folder", "seed", "name"),
    [("ab-both-2", 2, "ab-both"), ("ab-both-2", 1, "ab-both-2"), ("half", 0, "half")],
)
def test_only_the_recipes_own_seed_goes_from_a_rows_name(
    measure: ModuleType, folder: str, seed: int, name: str
) -> None:
    assert measure.row_name(folder, seed) == name


def test_the_summary_compares_with_the_dense_fp32_file(
    measure: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "BEST", {"dense": "as it is", "small": "pruned"})
    facts = {"steps": "", "parameters": 10, "nonzero": 10, "seconds": "", "rmse": 1}
    dense = {"name": "dense", "seed": "", "macs": 80, "latency_ratio": 1, "delta_1": 0.5}
    small = {"name": "small", "macs": 20, "delta_1": 0.6, "file": "int8.tflite", "bytes": 100}
    rows: list[dict[str, object]] = [
        # Not in the order of the table.
        facts | small | {"seed": 0, "latency_ratio": 0.2, "si_rmse": 0.18},
        facts | small | {"seed": 1, "latency_ratio": 0.3, "si_rmse": 0.20},
        facts | dense | {"file": "fp32.tflite", "bytes": 1000, "si_rmse": 0.2},
        facts | dense | {"name": "other", "file": "fp32.tflite", "bytes": 1, "si_rmse": 0.1},
    ]
    measure.write_rows(rows)
    assert measure.summary().splitlines()[2:] == [
        "| as it is | fp32 | 1.00 | 1.00 | 1.00 | 0.2000 (+0.0 %) | 0.500 |",
        "| pruned | int8 | 0.25 | 0.10 | 0.25 | 0.1900 ± 0.0141 (-5.0 %) | 0.600 ± 0.000 |",
    ]


@pytest.fixture
def summary() -> ModuleType:
    return benchmark("papers.summary")


def test_a_part_and_its_rival_are_compared_by_the_seeds_that_both_have(summary: ModuleType) -> None:
    values, rivals = {"0": 0.2, "1": 0.25, "3": 0.1}, {"0": 0.3, "1": 0.2, "2": 0.9}
    found = summary.Comparison("paper", "part", "rival", "si-RMSE", values, rivals).cells()
    assert found[4:] == [
        "0.2500 ± 0.0707",
        "0.2250 ± 0.0354",
        "-0.0250 ± 0.1061",
        "1 of 2 seeds",
        "none",
    ]


def test_a_kind_of_attention_is_judged_by_the_place_with_the_lowest_mean(
    summary: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"softmax, decoder 16", "linear, encoder 16 and 32", "DFC, encoder 32"}
    si_rmse = lambda name: {"0": 0.2, "1": 0.2 if name in best else 0.3}  # noqa: E731
    monkeypatch.setattr(summary.blocks, "si_rmse", si_rmse)
    kinds = list(summary.attention())[: len(summary.KINDS)]
    assert {each.part for each in kinds} == best
