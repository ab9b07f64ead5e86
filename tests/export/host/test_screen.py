from __future__ import annotations

import ast
import io
import os
from pathlib import Path

import pytest
from ghostdepth_export.host.screen import Screen, cell
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "a\033[2J\u202e\r\nb[/red]"
SHOWN = r"a\x1b[2J\u202e\r\nb[/red]"


def shown(screen: Screen) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_lines_and_cells_are_printable_and_no_markup() -> None:
    screen = Screen(file=io.StringIO(), pipe_width=120)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(cell(HOSTILE, "bold"))
    screen.print(HOSTILE)
    screen.print(table)
    assert shown(screen).count(SHOWN) == 5
    assert "\033" not in shown(screen)


def test_text_that_was_made_elsewhere_has_no_codes_either() -> None:
    screen = Screen(file=io.StringIO(), force_terminal=True, width=80)
    screen.print(Text("x\033]0;owned\007y", style="bold"))
    with Progress(TextColumn("{task.description}", markup=False), console=screen) as bar:
        bar.add_task("\033[31m[/]")
    assert "\033]0" not in shown(screen)
    assert "\033[31m" not in shown(screen)
    assert "\033[1mx" in shown(screen)


def test_no_other_console_is_made() -> None:
    makers = [
        path.name
        for top in ("train", "export")
        for path in sorted((ROOT / top).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console"
        if any(alias.name == "Console" for alias in node.names)
    ]
    assert makers == ["screen.py"]


@pytest.mark.parametrize("error", [False, True])
@pytest.mark.parametrize(
    ("kind", "reason"), [("pipe", "Broken pipe"), ("full", "No space left on device")]
)
def test_a_reader_that_has_gone_or_a_full_disk_ends_the_output_alone(
    kind: str, reason: str, error: bool
) -> None:
    if kind == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open("/dev/full", os.O_WRONLY)
    with open(writer, "w") as stream:
        screen = Screen(error=error)
        screen.file = stream
        if error:
            screen.print("a line")
        else:
            with pytest.raises(OSError, match=f"cannot write to standard output: {reason}"):
                screen.print("a line")
        screen.print("one more, which nobody reads")
