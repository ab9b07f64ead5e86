"""What docs/any-model.md says is what the program does."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from bench_depth.commands.flags import add_arguments
from bench_depth.model.description import FIELDS, Description, describe, presets

PAGE = Path(__file__).parents[3] / "docs" / "any-model.md"


def test_every_preset_is_in_the_table() -> None:
    table = PAGE.read_text().partition("## Presets")[2].partition("## Relative")[0]
    assert re.findall(r"^\| `(.+?)`", table, re.MULTILINE) == list(presets())


def test_every_flag_and_field_is_in_the_table() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    table = PAGE.read_text().partition("## What can be described")[2].partition("## A file")[0]
    for flag in parser._option_string_actions.keys() - {"-h", "--help"}:
        assert f"`{flag}" in table
    for field in FIELDS:
        assert f"`{field}`" in table or field.startswith("open_")


def test_the_example_of_a_file_beside_a_model_is_one(tmp_path: Path) -> None:
    example = PAGE.read_text().partition("```json\n")[2].partition("```")[0]
    (tmp_path / "m.tflite.json").write_text(example)
    said = describe(tmp_path / "m.tflite")
    assert isinstance(said, Description)
    assert said.input_size == tuple(json.loads(example)["input_size"])
    assert said.quantity == "inverse-depth"
