"""Tiny datasets, written in the formats in which the real ones are published.

The pictures are asymmetric and not square, so that a transposition, a flip or a swap of colours
shows. Millimetres are compared with Python's own exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 24, 40
RED, GREEN, BLUE, GREY = (220, 30, 20), (20, 200, 40), (30, 40, 210), (120, 120, 120)
TRAIN_DRIVE, VAL_DRIVE = "2011_09_26_drive_0001_sync", "2011_10_03_drive_0047_sync"


def photo() -> np.ndarray:
    """Red at the top left, green at the top right, blue at the bottom left, else grey."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    image[:12, :16], image[:12, 24:], image[12:, :16] = RED, GREEN, BLUE
    return image


def steps(seed: int = 0) -> np.ndarray:
    """uint16 values, all different in rows and columns, with a known corner and an unknown one."""
    values = np.random.default_rng(seed).integers(500, 16000, (HEIGHT, WIDTH)).astype(np.uint16)
    values[0, 0], values[0, -1], values[-1, 0] = 12345, 777, 0
    return values


def exact_millimetres(values: np.ndarray, per_metre: int) -> np.ndarray:
    """What the PNG's values are in millimetres; Fraction rounds exact ties to even."""
    whole = [round(Fraction(int(v) * 1000, per_metre)) for v in values.flat]
    return np.array([v if v <= 65535 else 0 for v in whole]).reshape(values.shape)


def write_png(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image[:, :, ::-1] if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def write_nyu(path: Path, count: int = 3) -> Path:
    """A MATLAB 7.3 file: HDF5 behind a 512-byte header, compressed, axes from last to first."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    images = np.stack([np.roll(photo(), i, axis=2) for i in range(count)], axis=3)  # H W 3 N
    depths = np.stack([steps(i) / 2500 for i in range(count)], axis=2)  # H W N
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("images", data=images.transpose(3, 2, 1, 0), compression="gzip")
        metres = depths.transpose(2, 1, 0).astype(np.float32)
        file.create_dataset("depths", data=metres, compression="gzip", chunks=(1, WIDTH, HEIGHT))
    return path


def damage_depth_of_nyu(path: Path, index: int) -> None:
    """Overwrites the middle of one compressed depth map."""
    import h5py

    with h5py.File(path) as file:
        chunk = file["depths"].id.get_chunk_info(index)
    data = bytearray(path.read_bytes())
    start = chunk.byte_offset + chunk.size // 2
    data[start : start + 64] = bytes(64)
    path.write_bytes(data)


def write_tum(folder: Path, photo_times: Sequence[float], depth_times: Sequence[float]) -> Path:
    for name, times in (("rgb", photo_times), ("depth", depth_times)):
        lines = [f"# {name} images", "# timestamp filename"]
        for i, time in enumerate(times):
            image = photo() if name == "rgb" else steps(i)
            write_png(folder / name / f"{time:.6f}.png", image)
            lines.append(f"{time:.6f} {name}/{time:.6f}.png")
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def two_matches_of_three(folder: Path) -> Path:
    """TUM: the second photo has no depth within 0.02 s; the third's is the second map."""
    return write_tum(folder, [1305.0, 1305.1, 1305.2], [1305.004, 1305.19])


def kitti_depth() -> np.ndarray:
    """Values whose millimetres are exact ties (v = 16 mod 32) and ones beyond 65.535 m."""
    values = steps()
    values[2, :6] = 16, 48, 256, 16776, 16777, 65535
    return values


def write_kitti(folder: Path) -> Path:
    """The benchmark: a drive to train and one to validate, one depth map in each."""
    for part, drive in (("train", TRAIN_DRIVE), ("val", VAL_DRIVE)):
        data = folder / drive[:10] / drive / "image_02" / "data"
        for frame in (0, 5):  # The benchmark has no depth for the first five frames.
            write_png(data / f"{frame:010d}.png", photo())
        ground_truth = folder / part / drive / "proj_depth" / "groundtruth"
        write_png(ground_truth / "image_02" / "0000000005.png", kitti_depth())
        write_png(ground_truth / "image_03" / "0000000005.png", kitti_depth())
    return folder


def write_kitti_selection(folder: Path) -> Path:
    """The small validation set, below the folder that holds `depth_selection`."""
    cropped = folder / "depth_selection" / "val_selection_cropped"
    name = "2011_09_26_drive_0002_sync_{}_0000000005_image_03.png"
    write_png(cropped / "image" / name.format("image"), photo())
    write_png(cropped / "groundtruth_depth" / name.format("groundtruth_depth"), kitti_depth())
    return folder


def write_diode_pair(folder: Path, name: str, mask: np.ndarray) -> Path:
    write_png(folder / f"{name}.png", photo())
    np.save(folder / f"{name}_depth.npy", (steps() / 250).astype(np.float32)[:, :, None])
    np.save(folder / f"{name}_depth_mask.npy", mask)
    return folder / f"{name}.png"


def write_diode(folder: Path) -> Path:
    """Two places with one name: depths reach 64 m; the last column is invalid."""
    mask = np.ones((HEIGHT, WIDTH))
    mask[:, -1] = 0
    for place in ("indoors/scene_00019/scan_00183", "outdoor/scene_00022/scan_00193"):
        write_diode_pair(folder / place, "300_010", mask)
    return folder


def write_folder(folder: Path, count: int = 3) -> Path:
    """The project's own layout."""
    for i in range(count):
        write_png(folder / "rgb" / f"{i}.png", photo())
        write_png(folder / "depth" / f"{i}.png", steps(i))
    return folder
