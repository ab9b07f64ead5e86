"""Every number that is given on a command line has bounds, which are checked in one place."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from bench_depth.commands import arguments, depth, live
from bench_depth.core.bounds import BOUNDS, bounds_of, require_bounds
from bench_depth.core.errors import UserError

# Checked by a class that also takes them from files, or from the page of `live`.
ELSEWHERE = {"alarm", "input-range", "output-offset", "output-scale", "port"}
HOSTILE = (10**30, 10**4000, -(10**30), math.nan, math.inf, -math.inf, 1e308, -1e300, 1e12)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: str(value)[:12])
def test_beyond_the_bounds_is_one_line_that_names_them(name: str, value: float) -> None:
    with pytest.raises(UserError, match="impossible") as caught:
        require_bounds(**{name.replace("-", "_"): value})
    assert f"--{name} " in str(caught.value) and bounds_of(name) in str(caught.value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_themselves_and_a_number_that_is_not_given_are_taken(name: str) -> None:
    for value in (*BOUNDS[name][:2], None):
        require_bounds(**{name.replace("-", "_"): value})


def test_no_option_that_is_a_number_is_without_bounds() -> None:
    parsers = (arguments.parser(), depth.parser(), live._parser())
    actions = [action for parser in parsers for action in parser._actions]
    numbers = {a.option_strings[-1].lstrip("-") for a in actions if a.type in (int, float)}
    assert numbers and numbers <= BOUNDS.keys() | ELSEWHERE


@pytest.mark.parametrize("value", ["9" * 30, "nan"])
@pytest.mark.parametrize(
    "option",
    ["warmup", "min-runs", "min-time", "threads", "sustain", "profile", "cooldown-to", "hfov"],
)
def test_a_benchmark_is_refused_before_a_model_is_loaded(
    option: str, value: str, tmp_path: Path
) -> None:
    from bench_depth.commands.cli import main

    (tmp_path / "m.tflite").write_bytes(b"no model")
    try:
        code = main([str(tmp_path / "m.tflite"), f"--{option}={value}"])
    except SystemExit as refused:  # argparse: no number at all.
        code = int(refused.code or 0)
    assert code == 2
