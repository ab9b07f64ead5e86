"""Checks of Dockerfile.arm64 and the workflows without running them, and of what make passes on."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.model.released import find_model
from ghostdepth_export.ship import image

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKERFILE = (REPOSITORY / "Dockerfile.arm64").read_text()
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
RELEASE = REPOSITORY / ".github" / "workflows" / "release.yml"


def instructions() -> list[list[str]]:
    """Of the Dockerfile, as words."""
    lines = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def copied() -> list[str]:
    """What is copied from the checkout."""
    copies = [words[1:-1] for words in instructions() if words[0] == "COPY"]
    return [source for words in copies if not words[0].startswith("--from") for source in words]


def test_everything_that_is_copied_is_there_and_reaches_the_build() -> None:
    patterns = (REPOSITORY / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in patterns if line.startswith("!")]
    assert copied()
    for source in copied():
        assert list(REPOSITORY.glob(source)), source
        assert any(fnmatch(place, f"{source.rstrip('/')}*") for place in allowed), source
    for place in allowed:
        assert list(REPOSITORY.glob(place)), place


def test_the_default_command_measures_a_released_model() -> None:
    (command,) = [line for line in DOCKERFILE.splitlines() if line.startswith("CMD ")]
    option, model = yaml.safe_load(command.removeprefix("CMD "))
    assert option == "--model"
    assert find_model(model).is_file()


def test_versions_are_pinned() -> None:
    wanted = re.findall(r"/pip install (?:--\S+ )*([a-z]\S*)", DOCKERFILE)
    assert wanted
    assert all(re.fullmatch(r"[a-z-]+==[\d.]+", package) for package in wanted), wanted
    (pattern,) = re.findall(r"grep -E '(.*)' wheels.txt", DOCKERFILE)
    (lock,) = [source for source in copied() if source.endswith(".txt")]
    lines = (REPOSITORY / lock).read_text().splitlines()
    found = [line.split("==")[0] for line in lines if re.match(pattern, line)]
    assert found == ["jinja2", "markupsafe", "numpy", "opencv-python-headless", "tflrt"]
    assert f'image.version="{__version__}"' in DOCKERFILE


def test_the_image_is_not_run_as_root() -> None:
    assert [words for words in instructions() if words[0] == "USER"] == [["USER", "1000:1000"]]


def test_only_root_builds_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image.os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="built by root"):
        image.build_image(tmp_path / "image.tar")


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_whole(workflow: Path) -> None:
    text = yaml.safe_load(workflow.read_text())
    # YAML 1.1 reads `on` as true.
    if workflow == RELEASE:
        assert text[True] == {"push": {"tags": ["v*"]}}
    else:
        assert {"push", "pull_request"} <= set(text[True])
    assert text["permissions"] == {"contents": "read"}
    for job in text["jobs"].values():
        assert re.fullmatch(r"ubuntu-24\.04(-arm)?", job["runs-on"])
        assert job["timeout-minutes"] > 0
        # A job that may write runs no code of the repository, only what an earlier job built, or
        # CodeQL, which reads it.
        written = {name for name, right in job.get("permissions", {}).items() if right == "write"}
        first = "download-artifact" if written - {"security-events"} else "checkout"
        assert job["steps"][0]["uses"].startswith(f"actions/{first}@")
        assert not written or not any(
            "run" in step and "make" in step["run"] for step in job["steps"]
        )
    for step in steps(workflow):
        assert len({"run", "uses"} & set(step)) == 1, step


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_major_version(workflow: Path) -> None:
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+(/[\w-]+)+@(release/)?v\d+", step["uses"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_workflows_make_and_read_is_there(workflow: Path) -> None:
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.M)
    for step in steps(workflow):
        words = shlex.split(step.get("run", ""))
        if words[:1] == ["make"]:
            assert words[1] in targets
            assert [word.split("=")[0] for word in words[2:]] in ([], ["SOAK"])
        for word in words:
            if word.startswith(("models/", "device/", "Dockerfile")):
                assert (REPOSITORY / word).exists(), word


def test_what_make_starts_keeps_its_bytecode() -> None:
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "MAKEFLAGS": ""}
    command = ["make", "--silent", "--eval", "shown: ; @env", "shown"]
    shown = subprocess.run(
        command, cwd=REPOSITORY, env=env, check=True, capture_output=True, text=True
    ).stdout
    assert "OMP_WAIT_POLICY=passive" in shown
    assert "PYTHONDONTWRITEBYTECODE" not in shown


def test_the_workflows_are_there() -> None:
    assert [path.name for path in WORKFLOWS] == [
        *("arm64.yml", "release.yml", "security.yml", "tests.yml")
    ]


def test_a_release_is_published_without_a_password() -> None:
    jobs = yaml.safe_load(RELEASE.read_text())["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["attach"]["permissions"] == {"contents": "write"}
    assert "secrets." not in RELEASE.read_text()
    assert jobs["publish"]["needs"] == "build"
