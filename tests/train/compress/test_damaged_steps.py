"""Metrics of a complete step that were changed before its recipe is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_train.compress.recipe import _last_step


@pytest.mark.parametrize(
    "metrics",
    [{}, {"steps": []}, {"steps": {}}, {"steps": [1]}, {"steps": [{"parameters": 1, "macs": "x"}]}],
)
def test_damaged_steps_are_refused_in_a_line_that_names_the_file(metrics: Any) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        _last_step(metrics, Path("1-prune/result/metrics.json"))
