"""README's commands have the verbs and options of today; tests/arm64 runs what can be pasted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from bench_depth.commands import arguments, depth
from ghostdepth.commands import app
from typer.main import get_group

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith(("ghostdepth ", "bench-depth "))
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_exists(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    if program == "ghostdepth":
        verb = get_group(app).commands[words[0]]
        verb.make_context(words[0], words[1:])
    elif words[0] == "depth":
        depth.parser().parse_args(words[1:])
    elif words[0] not in ("compare", "live", "models"):
        arguments.parse(words)


def test_readme_shows_commands() -> None:
    assert len(COMMANDS) > 20
