"""From dataset folders to batches, the same ones whenever they are asked for.

Every random choice is drawn from (seed, epoch, index), so that a run that was killed goes on with
exactly the batches it would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_depth.accuracy.readers import evenly_spaced
from bench_depth.core.data_checks import Finding, survey_pairs
from bench_depth.core.dataset import Pair, list_pairs, read_pair
from bench_depth.core.errors import UserError
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ghostdepth_train.augment import Photo, augment
from ghostdepth_train.config import AugmentConfig

# Decoded pairs that one loader process keeps in memory, at most.
CACHE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Split:
    """Training and validation pairs of one data folder."""

    train: list[Pair]
    val: list[Pair]


def read_split(data: Path, val: Path | None = None) -> Split:
    """Finds both sets: `data/train` + `data/val`, or a dataset folder of its own for each.

    A single dataset folder is split: the last tenth (by name) is for validation, because
    neighbouring names are often neighbouring frames of one room.

    Raises:
        UserError: As `bench_depth.core.dataset.list_pairs`, or too few pairs to split.
    """
    if val is not None:
        return Split(list_pairs(data), list_pairs(val))
    if (data / "train").is_dir() and (data / "val").is_dir():
        return Split(list_pairs(data / "train"), list_pairs(data / "val"))
    pairs = list_pairs(data)
    held_out = max(1, len(pairs) // 10)
    if len(pairs) <= held_out:
        raise UserError(f"{data} has {len(pairs)} pair; training needs at least two")
    return Split(pairs[:-held_out], pairs[-held_out:])


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
    digest = hashlib.sha256()
    for pair in (*split.train, *split.val):
        for path in (pair.rgb, pair.depth):
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
        Warnings about the training set, then those about the validation set.

    Raises:
        UserError: A file cannot be used, or all depth of a set is unknown.
    """
    findings = []
    for name, pairs in (("training", split.train), ("validation", split.val)):
        for found in survey_pairs(pairs, f"the {name} set of {where}").findings():
            findings.append(Finding(found.code, f"{name} set: {found.text}"))
    return findings


class DepthDataset(Dataset[tuple[Tensor, Tensor]]):
    """Augmented training pairs.

    Args:
        pairs: Files of the pairs.
        size: Height and width of the network's input.
        config: Settings of the augmentation.
        seed: Seed of the augmentation.

    An item is asked for as `(epoch, index)` and is 3xHxW uint8 RGB and 1xHxW float32 metres.
    """

    def __init__(
        self, pairs: list[Pair], size: tuple[int, int], config: AugmentConfig, seed: int
    ) -> None:
        self.pairs, self.size, self.config, self.seed = pairs, size, config, seed
        # Decoding costs more than augmenting; where training shares few cores with the loader,
        # decoding again in every epoch would slow it by a tenth.
        self._decoded: dict[int, tuple[Photo, NDArray[np.uint16]]] = {}
        self._room = CACHE_BYTES

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: Any) -> tuple[Tensor, Tensor]:
        epoch, index = key
        rgb, depth_mm = self._pair(index)
        depth = np.asarray(depth_mm, np.float32) / np.float32(1000)
        rng = np.random.default_rng((self.seed, epoch, index))
        rgb, depth = augment(rgb, depth, self.size, self.config, rng)
        return torch.from_numpy(rgb).permute(2, 0, 1), torch.from_numpy(depth)[None]

    def _pair(self, index: int) -> tuple[Photo, NDArray[np.uint16]]:
        if index in self._decoded:
            return self._decoded[index]
        pair = self._read(self.pairs[index])
        size = sum(array.nbytes for array in pair)
        if size <= self._room:
            self._room -= size
            self._decoded[index] = pair
        return pair

    def _read(self, pair: Pair) -> tuple[Photo, NDArray[np.uint16]]:
        return read_pair(pair)


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch for one process of several.

    All processes together see the global batch that one process with `world` times the batch size
    would see. The last, incomplete global batch is dropped; a set smaller than one global batch
    is repeated to fill it.

    Args:
        count: Number of items of the set.
        batch: Number of items per step and process.
        seed: Seed of the order.
        rank: Rank of this process.
        world: Number of processes.
        steps: Number of batches per epoch, where another set decides it; this set is cut or
            repeated.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        steps: int | None = None,
    ) -> None:
        self.count, self.batch, self.seed, self.rank, self.world = count, batch, seed, rank, world
        self.epoch = 0
        self._steps = max(1, count // (batch * world)) if steps is None else steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        step = self.batch * self.world
        order = np.resize(order, len(self) * step)
        for start in range(self.rank * self.batch, len(order), step):
            yield [(self.epoch, int(i)) for i in order[start : start + self.batch]]


def training_loader(
    dataset: DepthDataset, sampler: EpochSampler, workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of the sampler, decoded by `workers` processes that live as long as the loader."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_one_thread if workers else None,
    )


def batches(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's batches.

    Raises:
        UserError: A file cannot be read; one line, also when it happened in another process.
    """
    try:
        yield from loader
    except UserError as error:
        # torch puts the worker's whole traceback before the line.
        raise UserError(str(error).rpartition("UserError: ")[2], error.exit_code) from None


def _one_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
