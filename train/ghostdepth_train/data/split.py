"""Training and validation pairs of a data folder: found, thinned, recognised and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench_depth.accuracy.readers import evenly_spaced
from bench_depth.core.dataset import Pair, list_files, list_pairs
from bench_depth.core.errors import UserError
from bench_depth.plausibility.data_checks import survey_pairs
from bench_depth.plausibility.survey import Finding


@dataclass(frozen=True)
class Split:
    """Training and validation pairs of one data folder."""

    train: list[Pair]
    val: list[Pair]


def read_split(data: Path, val: Path | None = None) -> Split:
    """Finds both sets: `data/train` + `data/val`, or a dataset folder of its own for each.

    A single dataset folder is split: the last tenth (by name) is for validation, because
    neighbouring names are often neighbouring frames of one room. In place of a dataset folder there
    may be a folder of clips, each a dataset folder of its own.

    Raises:
        UserError: As `bench_depth.core.dataset.list_pairs`, or too few pairs to split.
    """
    if val is not None:
        return Split(_pairs(data), _pairs(val))
    if (data / "train").is_dir() and (data / "val").is_dir():
        return Split(_pairs(data / "train"), _pairs(data / "val"))
    pairs = _pairs(data)
    held_out = max(1, len(pairs) // 10)
    if len(pairs) <= held_out:
        raise UserError(f"{data} has {len(pairs)} pair; training needs at least two")
    return Split(pairs[:-held_out], pairs[-held_out:])


def _pairs(folder: Path) -> list[Pair]:
    """The pairs of a dataset folder, or of each clip in a folder of them, in the clips' order."""
    if (folder / "rgb").is_dir() or not folder.is_dir():
        return list_pairs(folder)
    clips = [path for path in list_files(folder) if (path / "rgb").is_dir()]
    return [pair for clip in clips for pair in list_pairs(clip)] or list_pairs(folder)


def fraction_of(split: Split, fraction: float) -> Split:
    """The split with a fraction of its training pairs, evenly spaced, at least one.

    Raises:
        UserError: The fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"--fraction {fraction:g} is not above 0 and at most 1")
    count = max(1, round(fraction * len(split.train)))
    return Split(evenly_spaced(split.train, count), split.val)


def listing_sha256(split: Split) -> str:
    """SHA-256 of the names and sizes in bytes of all files, by which other data is recognised.

    Folders and dates are left out: data that was moved or copied is the same.

    Raises:
        UserError: A file is missing.
    """
    pairs = (*split.train, *split.val)
    return files_sha256(path for pair in pairs for path in (pair.rgb, pair.depth))


def files_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 of the names and sizes in bytes of files, in their order.

    Raises:
        UserError: A file is missing.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        digest.update(f"{path.name}\0{size}\0".encode())
    return digest.hexdigest()


def survey_split(split: Split, where: str) -> list[Finding]:
    """Checks the headers of all files and decodes some, before a training starts.

    Args:
        split: Both sets.
        where: Name of the data, for messages.

    Returns:
        Warnings about the training set, then those about the validation set, that its photos are
        in the training set among them.

    Raises:
        UserError: A file cannot be used, or all depth of a set is unknown.
    """
    findings = []
    for name, pairs in (("training", split.train), ("validation", split.val)):
        survey = survey_pairs(pairs, f"the {name} set of {where}")
        if name == "validation":
            survey.add_shared(split.train, pairs)
        for found in survey.findings():
            findings.append(Finding(found.code, f"{name} set: {found.text}"))
    return findings
