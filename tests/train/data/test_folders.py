"""Folders of images from elsewhere, in each place that lists one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import UserError
from bench_depth.depth.inputs import find_inputs
from bench_depth.live.source.sources import open_source
from ghostdepth_train.data.convert import convert
from ghostdepth_train.distillation.unlabelled import list_unlabelled
from ghostdepth_train.pretraining.images import split_images

LISTERS = {
    "dataset": list_pairs,
    "unlabelled": list_unlabelled,
    "pretrain": lambda folder: split_images([folder]),
    "live": lambda folder: open_source(str(folder)),
    "depth": lambda folder: find_inputs([str(folder)]),
}
List = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("name", LISTERS)
def test_a_folder_that_may_not_be_listed_is_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Permissions do not keep root, who may run the tests, from anything.
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"cannot read the folder .*: Permission denied; check its"):
        LISTERS[name](folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse the name themselves")
@pytest.mark.parametrize("name", [name for name in LISTERS if name != "depth"])
def test_a_name_that_is_not_utf8_is_a_line(folder: Path, name: str) -> None:
    Path(os.fsdecode(os.fsencode(folder / "rgb") + b"/caf\xe9.jpg")).write_bytes(b"")
    with pytest.raises(UserError, match="is not UTF-8; rename the file"):
        LISTERS[name](folder)


def test_a_link_in_a_circle_is_no_source_and_no_output(folder: Path) -> None:
    loop = folder / "loop"
    loop.symlink_to("loop")
    for source, out in ((folder, loop), (loop, folder)):
        with pytest.raises(UserError):
            convert("tum", source, out)
