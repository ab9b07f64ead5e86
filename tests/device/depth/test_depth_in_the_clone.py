"""What needs the clone: its documentation, whose Python lines run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_lines_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 6
    # A few of the samples are enough to train on.
    for part in ("rgb", "depth"):
        (tmp_path / "samples" / part).mkdir(parents=True)
        for path in sorted((ROOT / "samples" / part).glob("[lo]*_05.*")):
            (tmp_path / "samples" / part / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"nearest \d\.\d\d m", printed[0])
    assert "no-such-model" in printed[-6]
    assert re.fullmatch(r"RMSE \d\.\d\d m", printed[-5])
    assert re.fullmatch(r"depth/office_05-depth\.png: nearest \d\.\d\d m", printed[-4])
    assert re.fullmatch(r"\d+ pairs, warnings: \[.*\]", printed[-3])
    assert re.fullmatch(r"\d+\.\d MMACs in \d+ layers", printed[-2])
    assert "ghostdepth-s" in printed[-1]
