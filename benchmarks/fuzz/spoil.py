"""Spoils a file of a dataset: damaged, of another kind or size, missing, or no file at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import Rng, damaged, pick
from headers import many_scans, other_header


def _replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def _large_header(path: Path, rng: Rng) -> None:
    """A PNG that claims very many pixels."""
    side = (1, 2, 2**15, 2**20, 2**30, 2**31 - 1)
    sizes = [side[int(i)].to_bytes(4, "big") for i in rng.integers(len(side), size=2)]
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sizes[0] + sizes[1] + b"\x10\0\0\0\0"
    _replace(path, head + rng.bytes(40))


def _other_kind(path: Path, rng: Rng) -> None:
    starts = (b"GIF89a", b"#?RADIANCE\n", b"PF\n9 9\n-1\n", b"BM", b"P6 9 9 255\n", b"II*\0", b"")
    _replace(path, pick(rng, starts) + rng.bytes(int(rng.integers(600))))


def _other_image(path: Path, rng: Rng) -> None:
    import cv2

    shape = pick(rng, [(1, 1), (64, 96), (3, 500), (65, 96)])
    channels = pick(rng, [(), (3,), (4,)])
    kind = pick(rng, [np.uint8, np.uint16])
    top = pick(rng, (1, 12, 256, 65536))
    image = rng.integers(0, min(top, np.iinfo(kind).max + 1), (*shape, *channels)).astype(kind)
    _replace(path, cv2.imencode(".png", image)[1].tobytes())


def _other_header(path: Path, rng: Rng) -> None:
    _replace(path, (many_scans if rng.random() < 0.1 else other_header)(rng))


def _no_file(path: Path, rng: Rng) -> None:
    path.unlink()
    makers: tuple[Callable[[], object], ...] = (
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("missing"),
        lambda: path.symlink_to(path.name),
        lambda: path.symlink_to("/dev/zero"),
        path.mkdir,
        lambda: path.touch(mode=0o000),
        lambda: None,
    )
    pick(rng, makers)()


def _other_name(path: Path, rng: Rng) -> None:
    names = (
        b"\xff\xfe.png",
        b"-rf.png",
        b" .png",
        b"\x1b[2J.png",
        b"a\nb.png",
        b"x" * 250 + b".png",
    )
    path.rename(path.with_name(os.fsdecode(pick(rng, names))))


SPOILED: tuple[Callable[[Path, Rng], None], ...] = (
    lambda path, rng: (
        _replace(path, damaged(path.read_bytes(), rng)) if path.stat().st_size > 64 else None
    ),
    _large_header,
    _other_kind,
    _other_image,
    _other_header,
    _no_file,
    _other_name,
)


def spoil(folder: Path, rng: Rng) -> None:
    """Spoils one to three files of a folder."""
    for _ in range(int(rng.integers(1, 4))):
        files = [path for path in sorted(folder.rglob("*.*g")) if path.is_file()]
        if files:
            pick(rng, SPOILED)(pick(rng, files), rng)
