"""`import ghostdepth`: it is fast, its verbs are those of the command line, its errors one line."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import ghostdepth
import pytest
from bench_depth.model.released import SAMPLES
from ghostdepth import commands as cli
from typer.main import get_group

from tests.export.conftest import Command

HEAVY = ("numpy", "cv2", "torch", "tensorflow", "onnx", "pydantic", "typer", "rich")
FUNCTIONS = [name for name in ghostdepth.__all__ if inspect.isfunction(getattr(ghostdepth, name))]

# `latency --calibrate`.
OPTION_ALONE = {"calibrate_latency"}


def test_importing_it_loads_nothing_heavy() -> None:
    code = f"import ghostdepth, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_documents_every_argument(name: str) -> None:
    function = getattr(ghostdepth, name)
    documented = inspect.getdoc(function) or ""
    for argument in inspect.signature(function).parameters:
        assert f"\n    {argument}: " in documented, argument
    assert "Raises:" in documented


def test_every_verb_is_a_function() -> None:
    assert set(get_group(cli.app).commands) == set(FUNCTIONS) - OPTION_ALONE


# The others have options that only a screen or another file needs.
SAME = {"check", "compress", "convert", "demo", "deploy", "emulate", "evaluate", "export", "label",
        "pretrain", "search", "sensitivity", "summary", "train"}  # fmt: skip


def test_an_option_of_the_command_is_an_argument_of_the_function() -> None:
    """But for the former spellings."""
    commands = get_group(cli.app).commands
    for name in SAME:
        options = {option.name for option in commands[name].params if not option.hidden}
        assert options <= set(inspect.signature(getattr(ghostdepth, name)).parameters), name


def test_an_option_of_depth_is_an_argument_of_the_function(command: Command) -> None:
    """But for those of `description`, a group of their own, and those of the screen."""
    of_depth, others = command("depth", "--help").out.split("models without a contract:")
    assert "--preset" in others
    options = {name.replace("-", "_") for name in re.findall(r"^  --([a-z-]+)", of_depth, re.M)}
    renamed = {"format": "formats", "range": "range_m"}
    arguments = inspect.signature(ghostdepth.depth).parameters
    assert {renamed.get(name, name) for name in options - {"json"}} <= set(arguments)
    assert "smooth" in options


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    mistakes = {
        "did you mean ghostdepth-s": lambda: ghostdepth.export("ghostdeph-s", tmp_path / "out"),
        "unknown alignment 'best'": lambda: ghostdepth.evaluate(tmp_path, tmp_path, align="best"),
        "neither a file nor a released name": lambda: ghostdepth.latency("xyz"),
        "results.json: No such file": lambda: ghostdepth.calibrate_latency(
            tmp_path / "results.json", tmp_path / "board.json"
        ),
        "rpi5": lambda: ghostdepth.bundle("rpi5", "ghostdepth-s", tmp_path / "out"),
        "unknown config 'xl'": lambda: ghostdepth.train(tmp_path, tmp_path / "out", config="xl"),
        "unknown recipe 'none'": lambda: ghostdepth.compress(
            "ghostdepth-s", tmp_path, tmp_path / "out", recipe="none"
        ),
        "give either --models FILE or --rollback": lambda: ghostdepth.deploy("pi@one"),
        "unknown config 'xs'": lambda: ghostdepth.summary("xs"),
        "tmp/none does not exist": lambda: ghostdepth.check("tmp/none"),
    }
    for says, mistake in mistakes.items():
        with pytest.raises(ghostdepth.UserError) as raised:
            mistake()
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_depth_takes_the_default_model_and_tells_what_it_wrote(tmp_path: Path) -> None:
    photo = SAMPLES / "rgb" / "living_01.jpg"
    (done,) = ghostdepth.depth(photo, tmp_path, formats=["npy", "ply"])
    assert done.error is None
    assert [Path(file).suffix for file in done.files] == [".npy", ".ply"]
