"""The numbers of `ghostdepth`: bounds in one place, checked before any work."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import ghostdepth
import pytest
from bench_depth.core.bounds import BOUNDS, bounds_of
from bench_depth.core.errors import UserError
from ghostdepth import commands

from tests.export.conftest import Command

# Checked by a config, which also takes them from a file; `--port` goes to ssh as it is.
ELSEWHERE = {"budget-ms", "fraction", "port", "seed", "target-ms"}
VERBS = {c.callback.__name__: c.callback for c in commands.app.registered_commands if c.callback}


def numbers(verb: str) -> set[str]:
    """The options of a verb that are integers or floating-point numbers."""
    hints = get_type_hints(VERBS[verb])
    kinds = (int, float, int | None, float | None)
    return {name.replace("_", "-") for name, kind in hints.items() if kind in kinds}


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_that_is_a_number_is_without_bounds(verb: str) -> None:
    assert numbers(verb) <= BOUNDS.keys() | ELSEWHERE


def test_there_are_options_that_are_numbers() -> None:
    assert {"trials", "pictures", "top", "workers"} <= set().union(*map(numbers, VERBS))


@pytest.mark.parametrize("value", ["-1", "9" * 30])
@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["latency", "none.tflite"], "top"),
        (["latency", "none.tflite"], "clock"),
        (["latency", "none.json", "--calibrate"], "clock"),
        (["count", "none.tflite"], "top"),
        (["search", "--budget-ms", "5", "--data", "none"], "trials"),
        (["search", "--budget-ms", "5", "--data", "none"], "epochs"),
        (["search", "--budget-ms", "5", "--data", "none"], "minutes"),
        (["sensitivity", "--checkpoint", "none", "--data", "none"], "pictures"),
        (["train", "--data", "none"], "workers"),
        (["train", "--data", "none"], "patience"),
    ],
)
def test_a_number_beyond_its_bounds_is_one_line_before_anything_is_read(
    words: list[str], option: str, value: str, command: Command, tmp_path: Path
) -> None:
    out = [] if words[0] == "count" else ["--out", tmp_path / "out"]
    done = command(*words, *out, f"--{option}", value, code=2)
    assert len(done.err.splitlines()) == 1
    assert f"--{option} " in done.err and bounds_of(option) in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [0, -(10**4000), 10**4000])
def test_the_functions_have_the_same_bounds(value: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    calls = {
        "workers": lambda: ghostdepth.train(tmp_path, out, workers=value or -1),
        "trials": lambda: ghostdepth.search(5, tmp_path, out, trials=value),
        "epochs": lambda: ghostdepth.search(5, tmp_path, out, epochs=value),
        "pictures": lambda: ghostdepth.sensitivity("none", tmp_path, out, pictures=value),
        "clock": lambda: ghostdepth.calibrate_latency("none", out, clock_mhz=value),
    }
    for option, call in calls.items():
        with pytest.raises(UserError, match=f"--{option} .* is impossible; give "):
            call()
    assert not out.exists()
