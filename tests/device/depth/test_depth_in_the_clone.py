"""What needs the clone: its documentation, whose Python lines run, and its released models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench_depth import UserError
from bench_depth.depth.released import find_model, released

ROOT = Path(__file__).resolve().parents[3]


def test_the_lines_of_the_page_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 4
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"nearest \d\.\d\d m", printed[0])
    assert "no-such-model" in printed[-1]


def test_a_released_model_is_found_by_its_name() -> None:
    assert find_model("ghostdepth-xxs").name == "ghostdepth-xxs-int8.tflite"
    assert set(released()) >= {"ghostdepth-xxs"}
    with pytest.raises(UserError, match="did you mean ghostdepth-xxs"):
        find_model("ghostdeph-xxs")
