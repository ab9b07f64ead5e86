"""The Python interface: a model by name or file, on arrays, files and streams."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import bench_depth
import cv2
import numpy as np
import pytest
from bench_depth import DepthModel, UserError, colourise, point_cloud
from bench_depth.core.errors import MODEL_FAILED
from bench_depth.core.files import PARTIAL
from bench_depth.depth.colours import colour_maps, table
from bench_depth.machine.guard import HANG
from bench_depth.model.description import from_values

from tests.device.conftest import HEIGHT, WIDTH, tiny_depth


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds nothing but the orientation (tag 0x0112)."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def test_depth_of_an_array_is_what_the_model_computes(tiny_tflite: Path, image: np.ndarray) -> None:
    model = DepthModel(tiny_tflite)
    depth = model(image)
    assert (depth.dtype, depth.shape, model.metric) == (np.float32, (HEIGHT, WIDTH), True)
    np.testing.assert_allclose(depth, tiny_depth(image[np.newaxis]), rtol=1e-5)


def test_depth_has_the_size_of_the_image(tiny_tflite: Path) -> None:
    assert DepthModel(tiny_tflite)(np.zeros((30, 50, 3), np.uint8)).shape == (30, 50)


def test_a_path_gives_the_depth_of_its_pixels(
    tiny_tflite: Path, image: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), image[..., ::-1])
    model = DepthModel(str(tiny_tflite))
    np.testing.assert_array_equal(model(str(path)), model(image))
    np.testing.assert_array_equal(model(path), model(image))


def test_a_rotated_phone_photo_is_turned_upright(tiny_tflite: Path, tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 200
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    # 6: the camera was turned by 90 degrees; upright, the light half is at the bottom.
    (tmp_path / "turned.jpg").write_bytes(with_orientation(jpeg, 6))
    depth = DepthModel(tiny_tflite)(tmp_path / "turned.jpg")
    assert depth.shape == (64, 48)
    assert depth[-8:].min() > depth[:8].max() + 1


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 4), np.uint8), ((4, 4, 4), np.uint8), ((4, 4, 3), np.float32), ((0, 4, 3), np.uint8)],
)
def test_what_is_no_image_is_refused_with_its_shape(
    tiny_tflite: Path, shape: tuple[int, ...], dtype: type
) -> None:
    with pytest.raises(UserError, match="x".join(map(str, shape))):
        DepthModel(tiny_tflite)(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("given", "says"), [(None, "None, which cv2.imread gives"), ([[0, 0, 0]], "is a list")]
)
def test_what_is_no_array_is_refused_with_what_it_is(
    tiny_tflite: Path, given: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        DepthModel(tiny_tflite)(given)


def test_relative_depth_is_not_metric(tiny_tflite: Path) -> None:
    description = from_values({"quantity": "inverse-depth"}, "the test says")
    assert not DepthModel(tiny_tflite, description=description).metric


def test_what_the_file_does_not_say_is_given_as_a_dict(tiny_tflite: Path) -> None:
    described = DepthModel(tiny_tflite, description={"unit": "mm", "input_range": (0, 255)})
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    np.testing.assert_allclose(described(image), DepthModel(tiny_tflite)(image) / 1000, rtol=1e-5)
    assert not DepthModel(tiny_tflite, description={"preset": "midas-v2.1-small"}).metric


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({"quantitty": "depth"}, "unknown field 'quantitty'; did you mean quantity"),
        ({"preset": "midas"}, "unknown preset 'midas'; choose from midas-v2.1-small"),
        ({"unit": "feet"}, "unit is 'feet'; choose from m, mm, relative"),
        ({"input_range": (1, 0)}, "an input range from 1 to 0 is empty"),
    ],
)
def test_an_impossible_description_is_refused_as_that_of_a_file(
    tiny_tflite: Path, description: dict[str, object], says: str
) -> None:
    with pytest.raises(UserError, match=f"^the description.*{says}"):
        DepthModel(tiny_tflite, description=description)


def test_a_stream_yields_image_and_depth(tiny_tflite: Path, tmp_path: Path) -> None:
    for level in (10, 200):
        cv2.imwrite(str(tmp_path / f"{level:03}.png"), np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    model = DepthModel(tiny_tflite)
    seen = list(model.stream(str(tmp_path)))
    assert [float(image.mean()) for _, image, _ in seen] == [10, 200]
    assert seen[0][0] < seen[1][0]
    np.testing.assert_array_equal(seen[1][2], model(seen[1][1]))


@pytest.mark.same_everywhere
def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, bench_depth; print([m for m in ('numpy', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError):
        _ = bench_depth.nothing  # type: ignore[attr-defined]


def test_points_project_back_to_their_pixels() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 5, (6, 8)).astype(np.float32)
    depth[0, 0], depth[1, 1] = np.nan, -1
    points = point_cloud(depth, hfov=90)
    assert np.isnan(points[[0, 1], [0, 1]]).all()
    # tan(45 degrees) = 1: the focal length is half of the width.
    v, u = np.indices(depth.shape)
    for axis, (position, middle) in enumerate(((u, 3.5), (v, 2.5))):
        projected = 4.0 * points[..., axis] / points[..., 2] + middle
        known = np.isfinite(points[..., 2])
        np.testing.assert_allclose(projected[known], position[known], atol=1e-5)
    np.testing.assert_array_equal(points[2:, :, 2], depth[2:])


@pytest.mark.parametrize("hfov", [0, 180, -5, float("nan")])
def test_an_impossible_field_of_view_is_refused(hfov: float) -> None:
    with pytest.raises(UserError, match=r"hfov .* is impossible"):
        point_cloud(np.ones((2, 2), np.float32), hfov)


@pytest.mark.parametrize(
    "depth",
    [
        None,
        [[1.0, 2.0]],
        *(np.ones(shape) for shape in ((), 5, (0, 0), (0, 4), (1, 4, 5), (4, 5, 1))),
    ],
)
def test_what_is_no_depth_map_is_refused_in_one_line(depth: Any) -> None:
    for function in (colourise, point_cloud):
        with pytest.raises(UserError, match=r"a depth map is .*HxW float32; this one is") as caught:
            function(depth)
        assert "\n" not in str(caught.value)


def test_colours_run_from_near_to_far() -> None:
    ramp = np.linspace(1, 3, 256, dtype=np.float32)[np.newaxis]
    np.testing.assert_array_equal(colourise(ramp, near=1, far=3)[0], table("plasma"))
    ramp[0, 5] = np.inf
    assert colourise(ramp)[0, 5].tolist() == [128] * 3
    assert {"turbo", "jet", "plasma"} <= set(colour_maps())
    with pytest.raises(UserError, match="rainbows"):
        colourise(ramp, colour_map="rainbows")


def test_every_run_has_a_time_limit(tiny_tflite: Path, image: np.ndarray) -> None:
    model, limits = DepthModel(tiny_tflite), []
    model.on_run = limits.append
    for _ in range(3):
        model(image)
    assert limits == [HANG, None] * 3


_NEVER_ENDING = """\
import sys, time
from bench_depth.commands.cli import main
from bench_depth.benchmark import bench, stages
from bench_depth.depth import model
from bench_depth.model.runtimes import tflite

model.HANG = bench.HANG = stages.HANG = 1.0
invoke, runs = tflite._TfliteModel.invoke, []

def never_ends(self):
    runs.append(self)
    invoke(self) if len(runs) < int(sys.argv[1]) else time.sleep(600)

tflite._TfliteModel.invoke = never_ends
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("run", [1, 5])
@pytest.mark.parametrize(
    "words", ["depth {}", "live --no-server --source {}", "--json {}/results.json"]
)
def test_a_model_of_which_a_run_never_ends_is_one_line(
    words: str, run: int, tiny_tflite: Path, image: np.ndarray, tmp_path: Path
) -> None:
    photos = [tmp_path / f"{index}.png" for index in range(run)]
    for photo in photos:
        cv2.imwrite(str(photo), image)
    given = words.format(tmp_path).split()
    done = subprocess.run(
        [sys.executable, "-c", _NEVER_ENDING, str(run), *given, "--model", tiny_tflite],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == MODEL_FAILED
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bench-depth: ") and "hung while it worked on" in last
    assert "Traceback" not in done.stderr
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(PARTIAL)]
    assert not left
