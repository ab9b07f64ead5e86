"""The `ghostdepth` command: a user's mistake is one line on stderr and a non-zero exit."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ghostdepth import commands as cli
from ghostdepth_export.host.checkout import SAMPLES
from ghostdepth_train.compress.recipe import recipe_names
from ghostdepth_train.config import config_names
from rich.text import Text
from typer.core import TyperOption
from typer.main import get_group

from tests.export.conftest import Command

VERBS = get_group(cli.app).commands


def empty_dataset(folder: Path) -> Path:
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--data", "DATA", "--config", "xl", "--out", "OUT"], "unknown config 'xl'"),
        (["train", "--data", "DATA", "--config", "tiny", "--out", "OUT"], "is empty"),
        (["train", "--data", "NONE", "--config", "tiny", "--out", "OUT"], "is not a folder"),
        (["summary", "--config", "xl"], "unknown config 'xl'"),
        (["summary", "--checkpoint", "NONE"], "is not a checkpoint folder"),
        (["evaluate", "--checkpoint", "NONE", "--data", "DATA"], "is empty"),
        (["export", "--checkpoint", "NONE", "--out", "OUT"], "is not a checkpoint folder"),
        (["export", "--checkpoint", "NONE", "--out", "OUT", "--camera", "big"], "not a size"),
        (["demo", "--checkpoint", "NONE", "--samples", "DATA"], "is empty"),
        (["label", "--teacher", "NONE", "--photos", "DATA", "--out", "OUT"], "has no image"),
        (["label", "--teacher", "NONE", "--photos", "PHOTOS", "--out", "OUT"], "unknown teacher"),
        (["convert", "sun", "NONE", "--out", "OUT"], "sun"),
        (["check", "DATA", "--html", "DATA"], "it is a folder; give the name of a file"),
        (["count", "NONE", "--json", "/dev/zero"], "it is a device; give the name of a file"),
        (["latency", "NONE", "--json", "/dev/zero"], "it is a device; give the name of a file"),
        (["summary", "--confg", "ghostnet-s"], "No such option: --confg"),
        (
            ["summary", "a\033[2J\u202e"],
            "(a\\x1b[2J\\u202e); see ghostdepth summary",
        ),
        (["exprot"], "No such command 'exprot'. Did you mean 'export'? See ghostdepth --help"),
        (["tr\033\u202e"], "No such command 'tr\\x1b\\u202e'; see ghostdepth --help"),
    ],
)
def test_one_line_and_a_non_zero_exit(
    arguments: list[str], says: str, tmp_path: Path, command: Command
) -> None:
    photos = empty_dataset(tmp_path / "photos")
    (photos / "rgb" / "a.jpg").touch()
    places = {
        "PHOTOS": photos,
        "DATA": empty_dataset(tmp_path / "data"),
        "NONE": tmp_path / "x",
        "OUT": tmp_path / "o",
    }
    err = command(*(places.get(a, a) for a in arguments), code=2).err.strip()
    assert says in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--out", "o", "--data"],
        ["check"],
        ["evaluate", "--checkpoint", "ghostdepth-s", "--data"],
        ["export", "--checkpoint", "ghostdepth-s", "--out", "o", "--calibration"],
        ["demo", "--samples"],
    ],
)
@pytest.mark.parametrize("name", ["samples", "samples/rgb/.."])
def test_outside_a_clone_the_place_of_the_samples_is_reported(
    arguments: list[str],
    name: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    err = command(*arguments, name, code=2).err.strip()
    assert f"{name} does not exist; the project's samples are in {SAMPLES}" in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['ghostdepth', '--version']\n"
        "from ghostdepth.commands import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'tensorflow', 'onnx', 'numpy', 'cv2'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


# Any verb, whose work is to wait. Shells start background jobs with SIGINT ignored, and Python
# leaves it so.
_WAITING = """
import functools, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from ghostdepth import commands as cli
def wait():
    print("ready", flush=True)
    time.sleep(60)
for verb in cli.app.registered_commands:
    verb.callback = functools.wraps(verb.callback)(lambda **_: wait())
cli.main()
"""


@pytest.mark.parametrize("verb", VERBS)
def test_ctrl_c_is_one_line_and_130(verb: str) -> None:
    needed = [one for one in VERBS[verb].params if one.required]
    words = [
        [f"--{one.name.replace('_', '-')}", "1"] if isinstance(one, TyperOption) else ["x"]
        for one in needed
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITING, verb, *itertools.chain.from_iterable(words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "ghostdepth: interrupted\n")


@pytest.mark.parametrize("verb", VERBS)
def test_no_help_text_loses_its_brackets_as_markup(verb: str) -> None:
    for text in [VERBS[verb].help, *(getattr(one, "help", None) for one in VERBS[verb].params)]:
        shown = Text.from_markup(text or "")
        assert not shown.spans
        assert shown.plain == (text or "").replace("\\[", "[")


@pytest.mark.parametrize(
    ("verb", "shown"),
    [("train", "[default: (ghostdepth-CONFIG)]"), ("deploy", "[default: samples]")],
)
def test_help_shows_brackets(
    verb: str, shown: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = command(verb, "--help")
    assert shown in done.out


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_a_flag_has_no_type_in_the_help(verb: str, command: Command) -> None:
    printed = command(*([verb] if verb else []), "--help")
    assert "--" in printed.out
    assert "<bool>" not in printed.out


@pytest.mark.parametrize(
    ("option", "verbs", "names"),
    [("config", ("train", "summary"), config_names()), ("recipe", ("compress",), recipe_names())],
)
def test_names_are_in_the_help_and_completed(
    option: str, verbs: tuple[str, ...], names: list[str]
) -> None:
    for verb in verbs:
        (found,) = (one for one in VERBS[verb].params if one.name == option)
        assert isinstance(found, TyperOption)
        listed = set(re.findall(r"[\w-]+", found.help or ""))
        assert {name for name in names if not name.endswith("-finish")} <= listed
        context = VERBS[verb].make_context(verb, [], resilient_parsing=True)
        assert [item.value for item in found.shell_complete(context, "")] == names


def completed(line: str) -> list[str]:
    """What `ghostdepth` tells a shell that completes the last word of a line."""
    words = line.split(" ")
    told = subprocess.run(
        [sys.executable, "-m", "ghostdepth"],
        env={
            **os.environ,
            "_GHOSTDEPTH_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ghostdepth depth --si", ["--side-by-side"]),
        ("ghostdepth depth photo.jpg --mod", ["--model"]),
        ("ghostdepth predict --html --over", ["--overwrite"]),
        ("ghostdepth depth a.jpg --format ", ["colour", "mm", "npy", "ply"]),
        ("ghostdepth models --b", ["--board"]),
        ("ghostdepth evaluate --chec", ["--checkpoint"]),
        ("ghostdepth depth a.jpg b", []),
    ],
)
def test_options_are_completed_also_of_the_verbs_of_bench_depth(
    line: str, words: list[str]
) -> None:
    assert completed(line) == words
