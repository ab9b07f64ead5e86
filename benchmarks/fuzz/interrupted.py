"""Attempts that are cut off: by kill -9 and by a full disk, and then go on to the same result."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from corpus import RELEASED, TINY, Corpus, kept_in
from processes import KILLED, bench, ghostdepth, left_overs, run

# Seconds; a training on a busy machine, an export with its six files.
LONG_S = 600.0
# The same alone, on a machine that other programs keep busy: what it ends in is known.
SOUND_S = 2000.0
RECIPE = """\
- {method: prune, macs: 0.7, min_channels: 4, round_to: 2}
- method: distil
  teachers: [TEACHER]
  training: {epochs: 2, learning_rate: 1.0e-3}
"""
SPACE = """\
{sizes: [[64, 96]], shallow: [0.25], deep: [0.25], se: [false], levels: [2], upsample: [1],
decoder: [0.25]}
"""
# What is compared bit for bit; beside it lie times and speeds.
COMPARED = ("model.safetensors", "config.json", "ranges.json", ".tflite", ".onnx", ".png")
Verb = Callable[[Corpus, Path, bool], Callable[[], int]]


def _train(corpus: Corpus, out: Path, again: bool) -> Callable[[], int]:
    words = ("--data", corpus.data, "--out", out, *TINY, "--epochs", 3)
    return ghostdepth("train", *words, *_resume(again))


def _compress(corpus: Corpus, out: Path, again: bool) -> Callable[[], int]:
    recipe = corpus.folder / "recipe.yaml"
    if not recipe.exists():
        recipe.write_text(RECIPE.replace("TEACHER", str(corpus.checkpoint)))
    words = ("--checkpoint", corpus.checkpoint, "--recipe", recipe, "--data", corpus.data)
    return ghostdepth("compress", *words, "--out", out, "--workers", 0, *_resume(again))


def _label(corpus: Corpus, out: Path, again: bool) -> Callable[[], int]:
    words = ("--teacher", corpus.checkpoint, "--unlabelled", corpus.data / "train", "--out", out)
    return ghostdepth("label", *words)


def _export(corpus: Corpus, out: Path, again: bool) -> Callable[[], int]:
    words = ("--checkpoint", corpus.checkpoint, "--camera", "96x64", "--out", out)
    return ghostdepth("export", *words)


def _depth(corpus: Corpus, out: Path, again: bool) -> Callable[[], int]:
    photos = corpus.data / "train" / "rgb"
    return bench("depth", photos, "--model", RELEASED, "--out", out, "--threads", 1)


def _search(corpus: Corpus, out: Path, again: bool) -> Callable[[], int]:
    """With one network to choose from, so that every search trains the same."""
    space = corpus.folder / "space.yaml"
    if not space.exists():
        space.write_text(SPACE)
    words = ("--budget-ms", 1000, "--data", corpus.data, "--out", out, "--space", space)
    rest = ("--trials", 2, "--epochs", 2, "--config", "tiny", "--workers", 0)

    def work() -> int:
        from ghostdepth_export import search
        from ghostdepth_export.pi4 import budget

        # Counting needs minutes, and a trial without a sign of life is waited for as long.
        budget.FileLatency = lambda log: lambda network, budget: []  # type: ignore
        search.open_study = partial(search.open_study, heartbeat=(1, 3))
        return ghostdepth("search", *words, *rest)()

    return work


def _resume(again: bool) -> tuple[str, ...]:
    return ("--resume",) if again else ()


VERBS: dict[str, Verb] = {
    "train": _train,
    "compress": _compress,
    "label": _label,
    "depth": _depth,
    "export": _export,
    "search": _search,
}
# An export takes as long as all others together.
TURNS = (
    *("train", "compress", "label", "search", "train", "depth", "compress", "search", "train"),
    *("label", "export"),
)


def kills(corpus: Corpus, seed: int, folder: Path) -> str:
    """Kills a verb once to three times, then lets it end; the result must be that of one run."""
    rng = np.random.default_rng(seed)
    name = TURNS[seed % len(TURNS)]
    reference, seconds = _reference(corpus, name)
    out = folder / "out"
    for _ in range(int(rng.integers(1, 4))):
        delay = float(rng.uniform(0, seconds))
        outcome = run(VERBS[name](corpus, out, _begun(out)), LONG_S, kill_after=delay)
        if outcome.code == 0:
            break
        if outcome.code != KILLED:
            return f"{name}, killed after {delay:.2f} s\n{outcome.fault or outcome.text}"
    return _ends_alike(corpus, name, out, reference)


def full_disk(corpus: Corpus, seed: int, folder: Path) -> str:
    """Runs a verb on a disk with too little room, then with enough; the same is asked."""
    rng = np.random.default_rng(seed)
    name = TURNS[seed % len(TURNS)]
    reference, _ = _reference(corpus, name)
    size = sum(path.stat().st_size for path in reference.rglob("*") if path.is_file())
    disk = folder / "disk"
    disk.mkdir()
    room = max(1, round(float(rng.uniform(0, 1)) * size / 4096))
    if not _mount(disk, f"size={4096 * room}"):
        return ""
    out = disk / "out"
    outcome = run(VERBS[name](corpus, out, False), LONG_S)
    what = f"{name} in {4 * room} KiB of {size // 1024}"
    if outcome.fault or outcome.code == 0:
        return f"{what}\n{outcome.fault}" if outcome.fault else ""
    if fault := left_overs(disk):
        return f"{what}: {fault}\n{outcome.text}"
    _mount(disk, f"remount,size={2**30}")
    fault = _ends_alike(corpus, name, out, reference)
    return f"{what}: {fault}" if fault else ""


def _ends_alike(corpus: Corpus, name: str, out: Path, reference: Path) -> str:
    outcome = run(VERBS[name](corpus, out, _begun(out)), LONG_S)
    if outcome.code != 0:
        return f"{name} does not go on\n{outcome.fault or outcome.text}"
    if fault := left_overs(out):
        return f"{name}: {fault}"
    ours, theirs = _files(out), _files(reference)
    if ours.keys() != theirs.keys():
        return f"{name}: other files than in one run: {sorted(ours.keys() ^ theirs.keys())}"
    other = [key for key in ours if ours[key] != theirs[key]]
    return f"{name}: differs from one run: {other}" if other else ""


def _files(folder: Path) -> dict[str, bytes]:
    """The files that are the same in every run, by path; a search has other trials after a kill."""
    return {
        re.sub(r"trial-\d+", "trial", str(path.relative_to(folder))): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name.endswith(COMPARED)
    }


def _begun(out: Path) -> bool:
    """Whether there is something to resume."""
    return any((out / name).exists() for name in ("recipe.json", "last/training.safetensors"))


def _reference(corpus: Corpus, name: str) -> tuple[Path, float]:
    """The result of one run, and the seconds it took."""

    def make(folder: Path) -> None:
        out = folder / "out"
        outcome = run(VERBS[name](corpus, out, False), SOUND_S)
        if outcome.code != 0:
            raise RuntimeError(f"{name} fails as it is\n{outcome.text}")
        (folder / "seconds").write_text(str(outcome.seconds))

    folder = kept_in(corpus.folder / f"reference-{name}", make)
    return folder / "out", float((folder / "seconds").read_text())


def _mount(folder: Path, options: str) -> bool:
    """Mounts a file system in memory, for this process and its children alone.

    Returns:
        Whether it could be; not every kernel lets a user have a namespace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    remount = options.startswith("remount,")
    if not remount:
        user, group = os.getuid(), os.getgid()
        if libc.unshare(0x00020000 | 0x10000000):  # CLONE_NEWNS | CLONE_NEWUSER
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    flags = 32 if remount else 0  # MS_REMOUNT
    data = options.removeprefix("remount,").encode()
    return not libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, data)
