"""Plausibility of data: every fault has its code, plausible data has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.readers import open_dataset
from bench_depth.core.dataset import Pair, list_pairs, write_depth
from bench_depth.core.errors import UserError
from bench_depth.plausibility.advice import DATA_ADVICE
from bench_depth.plausibility.data_checks import survey_pairs
from bench_depth.plausibility.survey import DataSurvey

SIZE = (120, 160)


def room(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its depth in millimetres, a tenth of it unknown."""
    photo = rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    depth = np.linspace(rng.uniform(800, 1500), rng.uniform(4000, 9000), SIZE[0] * SIZE[1])
    depth = depth.reshape(SIZE) + rng.normal(0, 10, SIZE)
    depth[rng.random(SIZE) < 0.1] = 0
    return photo, depth.astype(np.uint16)


def surveyed(change: Callable[[np.ndarray], np.ndarray], pairs: int = 6) -> list[str]:
    survey, rng = DataSurvey(), np.random.default_rng(0)
    for index in range(pairs):
        photo, depth = room(rng)
        survey.add(str(index), photo, change(depth).astype(np.uint16))
    findings = survey.findings()
    assert all(finding.text and "\n" not in finding.text for finding in findings)
    return [finding.code for finding in findings]


def in_a_third(value: int) -> Callable[[np.ndarray], np.ndarray]:
    third = np.indices(SIZE).sum(0) // 20 % 3 == 0
    return lambda depth: np.where(third, value, depth)


def one_pixel(depth: np.ndarray) -> np.ndarray:
    single = np.zeros_like(depth)
    single[5, 5] = 2000
    return single


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("depth-ceiling", in_a_third(65535)),
        ("depth-ceiling", in_a_third(10_000)),
        *(("depth-floor", in_a_third(mark)) for mark in (1, 2, 5, 9)),
        ("depth-metres", lambda depth: np.rint(depth / 1000)),
        ("depth-centimetres", lambda depth: depth // 10),
        ("depth-far", lambda depth: np.minimum(depth.astype(np.int64) * 10, 65_000 + depth % 500)),
        ("depth-coarse", lambda depth: depth // 500 * 500),
        ("depth-constant", lambda depth: np.full_like(depth, 3000)),
        ("depth-empty", np.zeros_like),
        ("depth-sparse", one_pixel),
    ],
)
def test_each_fault_has_its_code(code: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert code in surveyed(change)


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.0])
def test_rooms_of_any_plausible_size_have_no_finding(factor: float) -> None:
    assert surveyed(lambda depth: depth * factor) == []


def test_faults_of_photos_have_their_codes() -> None:
    survey, depth = DataSurvey(), np.full((64, 64), 2000, np.uint16)
    depth[:32] = 3000
    survey.add("black", np.zeros((64, 64, 3), np.uint8), depth)
    survey.add("dot", np.zeros((1, 1, 3), np.uint8), np.full((1, 1), 2000, np.uint16))
    codes = [finding.code for finding in survey.findings()]
    assert codes == [code for code in DATA_ADVICE if code in codes]
    assert {"photo-blank", "photo-tiny"} <= set(codes)


def codes_of(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    survey = DataSurvey()
    for index, pair in enumerate(pairs):
        survey.add(str(index), *pair)
    return [finding.code for finding in survey.findings()]


@pytest.mark.parametrize("seed", range(8))
def test_a_single_map_in_metres_is_found_among_those_in_millimetres(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [room(rng) for _ in range(30)]
    place = int(rng.integers(30))
    pairs[place] = pairs[place][0], np.rint(pairs[place][1] / 1000).astype(np.uint16)
    assert "depth-metres" in codes_of(pairs)


@pytest.mark.parametrize("seed", range(8))
def test_a_depth_map_of_several_photos_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [room(rng) for _ in range(8)]
    one, other = rng.choice(8, 2, replace=False)
    pairs[one] = pairs[one][0], pairs[other][1]
    assert codes_of(pairs) == ["depth-repeated"]


def test_a_pair_that_is_there_twice_has_its_depth_twice() -> None:
    assert codes_of([room(np.random.default_rng(0))] * 2) == []


@pytest.mark.parametrize("most", [2, 4, 15])
def test_photos_with_the_lowest_of_their_bits_alone_are_dark(most: int) -> None:
    rng = np.random.default_rng(most)
    pairs = [(photo % (most + 1), depth) for photo, depth in (room(rng) for _ in range(3))]
    assert codes_of(pairs) == ["photo-dark"]


def test_a_depth_map_among_the_photos_is_found(folder: Path) -> None:
    (folder / "rgb" / "3.jpg").unlink()
    (folder / "rgb" / "3.png").write_bytes((folder / "depth" / "3.png").read_bytes())
    codes = [finding.code for finding in survey_pairs(list_pairs(folder), "data").findings()]
    assert codes == ["photo-depth"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rgb").mkdir()
    rng = np.random.default_rng(0)
    for index in range(5):
        photo, depth = room(rng)
        cv2.imwrite(str(tmp_path / "rgb" / f"{index}.jpg"), photo)
        write_depth(tmp_path / "depth" / f"{index}.png", depth)
    return tmp_path


def test_one_bad_file_among_many_is_found_without_decoding_it(folder: Path) -> None:
    path = folder / "depth" / "3.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"3\.png is not a readable picture"):
        survey_pairs(list_pairs(folder), "data", sample=1)


def test_bad_files_are_counted(folder: Path) -> None:
    for index in range(3):
        (folder / "rgb" / f"{index}.jpg").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=r"0\.jpg holds GIF, .* \(2 more files cannot be used\)"):
        survey_pairs(list_pairs(folder), "data")


def test_what_the_sample_does_not_know_is_looked_for_in_all(folder: Path) -> None:
    pairs = list_pairs(folder)
    for pair in pairs[:-1]:
        write_depth(pair.depth, np.zeros(SIZE))
    assert survey_pairs(pairs, "data", sample=1).any_depth
    write_depth(pairs[-1].depth, np.zeros(SIZE))
    with pytest.raises(UserError, match="no depth map of data has a valid pixel"):
        survey_pairs(pairs, "data", sample=1)


def test_a_pair_counts_once() -> None:
    survey, pair = DataSurvey(), room(np.random.default_rng(0))
    survey.add("a", *pair)
    before = survey.histogram.copy()
    survey.add("a", *pair)
    assert survey.pairs == 1
    np.testing.assert_array_equal(survey.histogram, before)


def test_names_that_no_file_system_takes_are_a_line(tmp_path: Path) -> None:
    long = "x" * 100_000
    with pytest.raises(UserError, match="does not exist"):
        open_dataset(Path(long))
    with pytest.raises(UserError, match="is not a folder"):
        list_pairs(Path(long))
    for name in ("rgb", "depth"):
        (tmp_path / f"{name}.txt").write_text(f"1.0 {long}.png\n")
    with pytest.raises(UserError, match=r"is missing|no plain file name"):
        open_dataset(tmp_path)


def test_the_figures_of_plausible_data(folder: Path) -> None:
    survey = survey_pairs(list_pairs(folder), "data")
    assert survey.pairs == 5 and survey.findings() == []
    assert survey.sizes == {SIZE[::-1]: 5}
    assert 0.08 < survey.unknown < 0.12


@pytest.mark.parametrize("shared", ["same", "link", "copy"])
def test_a_photo_of_both_sets_is_found(shared: str, folder: Path, tmp_path: Path) -> None:
    pairs = list_pairs(folder)
    train, val = pairs[:4], pairs[4:]
    path = tmp_path / "other.jpg"
    if shared == "same":
        path = train[1].rgb
    elif shared == "link":
        path.symlink_to(train[1].rgb)
    else:
        path.write_bytes(train[1].rgb.read_bytes())
    survey = DataSurvey()
    survey.add_shared(train, val)
    assert survey.findings() == []
    survey.add_shared(train, [*val, Pair("other", path, val[0].depth)])
    (finding,) = survey.findings()
    assert finding.code == "photo-shared" and finding.text.startswith("other: ")


def test_photos_of_one_size_in_bytes_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.bmp" for index in range(6)]
    for path in paths:
        cv2.imwrite(str(path), room(rng)[0])
    pairs = [Pair(path.stem, path, path) for path in paths]
    survey = DataSurvey()
    survey.add_shared(pairs[:4], pairs[3:])
    (finding,) = survey.findings()
    assert finding.text.startswith("3: ")
