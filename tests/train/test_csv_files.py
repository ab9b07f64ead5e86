"""Rows of figures in files: here those for TensorBoard."""

from __future__ import annotations

import errno
import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_train.csv_files import EventLog


def events(folder: Path) -> list[Any]:
    """The events of the one file of a folder: each a length, its checksum, the event, another."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.iterdir()
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_figures_are_in_the_file_when_they_were_added(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "run" / "tensorboard", 3)
    log.add({"loss": 0.5, "si_rmse": 0.25}, 3)
    version, start, figures = events(tmp_path / "run" / "tensorboard")
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (3, start.session_log.START)
    assert figures.step == 3
    assert {v.tag: v.simple_value for v in figures.summary.value} == {"loss": 0.5, "si_rmse": 0.25}
    log.close()


def test_a_full_disk_is_one_line_without_a_thread_and_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    threads = threading.active_count()
    log = EventLog(tmp_path, 1)
    monkeypatch.setattr(os, "fsync", full)
    for step in range(30):
        with pytest.raises(UserError, match=r"cannot write .*No space left on device; check"):
            log.add({"loss": 0.5}, step)
    assert threading.active_count() == threads
    monkeypatch.undo()
    log.close()


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").touch()
    with pytest.raises(UserError, match="it is no folder"):
        EventLog(tmp_path / "tensorboard", 1)
